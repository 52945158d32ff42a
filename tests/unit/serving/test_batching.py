"""The queue in front of a model: rows of one instant go together, a bad row fails alone, too many are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from include.serving.errors import ServingError
from include.serving.models.batching import MAX_ROWS, Batcher
from include.serving.models.loaded import LoadedModel, load_model
from include.serving.observability import metrics
from tests.model_packages import picky, put

GOOD, BAD = (30.0, "pro"), (30.0, "a plan that nobody trained")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model("picky", "1", put(tmp_path_factory.mktemp("home"), "picky", 1, picky()))


def batches() -> float:
    return metrics.REGISTRY.get_sample_value("factory_batch_rows_count") or 0.0


@pytest.mark.parametrize("slow", [False, True], ids=["on the loop", "in a thread"])
def test_rows_of_one_instant_are_predicted_together(model: LoadedModel, pool: ThreadPoolExecutor, slow: bool) -> None:
    async def ask() -> list:
        batcher = Batcher(replace(model, call_ms=1000.0 if slow else 0.0), pool, 100)
        return await asyncio.gather(*(batcher.submit([GOOD, (50.0, None)]) for _ in range(8)))

    before = batches()
    answers = asyncio.run(ask())
    assert answers == [model.predict([GOOD, (50.0, None)])] * 8
    assert batches() - before == 1


@pytest.mark.parametrize("slow", [False, True], ids=["on the loop", "in a thread"])
def test_a_bad_row_fails_its_own_request_alone(model: LoadedModel, pool: ThreadPoolExecutor, slow: bool) -> None:
    async def ask() -> list:
        batcher = Batcher(replace(model, call_ms=1000.0 if slow else 0.0), pool, 100)
        return await asyncio.gather(*(batcher.submit([row]) for row in (GOOD, BAD, GOOD)), return_exceptions=True)

    first, failed, last = asyncio.run(ask())
    assert first == last == model.predict([GOOD])
    assert isinstance(failed, ValueError)


def test_too_many_waiting_rows_are_refused_and_the_queue_recovers(model: LoadedModel, pool: ThreadPoolExecutor) -> None:
    async def ask() -> None:
        batcher = Batcher(model, pool, 10)
        waiting = [batcher.submit([GOOD] * 5) for _ in range(2)]
        with pytest.raises(ServingError) as refused:
            batcher.submit([GOOD])
        assert (refused.value.status, refused.value.headers["retry-after"]) == (503, "1")
        await asyncio.gather(*waiting)
        assert len(await batcher.submit([GOOD] * 10)) == 10

    asyncio.run(ask())


def test_a_large_request_is_answered_whole_and_delays_nobody(model: LoadedModel, pool: ThreadPoolExecutor) -> None:
    async def ask() -> None:
        batcher = Batcher(model, pool, 10)
        large = batcher.submit([GOOD] * (MAX_ROWS + 1))
        assert not large.done()
        assert len(await large) == MAX_ROWS + 1

    asyncio.run(ask())


def test_a_caller_that_went_away_stops_nothing(model: LoadedModel, pool: ThreadPoolExecutor) -> None:
    async def ask() -> None:
        batcher = Batcher(model, pool, 10)
        gone, stays = batcher.submit([GOOD]), batcher.submit([GOOD])
        gone.cancel()
        assert await stays == model.predict([GOOD])
        assert len(await batcher.submit([GOOD] * 10)) == 10

    asyncio.run(ask())
