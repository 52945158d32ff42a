"""The cache in memory: it knows rows by value, forgets the oldest, and lets answers end."""

from __future__ import annotations

import time

import pytest

from include.serving.models.cache import MemoryCache, open_cache
from include.serving.models.loaded import LoadedModel, load_model
from include.serving.models.rows import NAN
from include.serving.observability.metrics import Tally
from include.specs import FactoryError
from include.specs.platform import Serving
from tests.model_packages import house, put


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[LoadedModel]:
    home = tmp_path_factory.mktemp("home")
    return [load_model("house", str(n), put(home, "house", n, house(n))) for n in (1, 2)]


def test_rows_are_known_by_value_and_version(models: list[LoadedModel]) -> None:
    first, second = models
    cache, tally = MemoryCache(10, 60), Tally(("cached", "1", "champion"))
    cache.keep(first, (1.0, NAN, 2.0), {"label": 3.0})
    assert cache.find(first, (1.0, NAN, 2.0), tally) == {"label": 3.0}
    assert cache.find(second, (1.0, NAN, 2.0), tally) is None
    assert cache.find(first, (1.0, 0.0, 2.0), tally) is None
    assert (tally.cached, tally.missed) == (1, 2)


def test_the_row_that_was_not_asked_for_longest_leaves(models: list[LoadedModel]) -> None:
    cache, tally = MemoryCache(2, 60), Tally(("cached", "1", "champion"))
    for number in (1.0, 2.0):
        cache.keep(models[0], (number,), {"label": number})
    cache.find(models[0], (1.0,), tally)
    cache.keep(models[0], (3.0,), {"label": 3.0})
    assert [cache.find(models[0], (n,), tally) is not None for n in (1.0, 2.0, 3.0)] == [True, False, True]


def test_an_answer_ends(models: list[LoadedModel]) -> None:
    cache, tally = MemoryCache(2, 0.01), Tally(("cached", "1", "champion"))
    cache.keep(models[0], (1.0,), {"label": 1.0})
    time.sleep(0.02)
    assert cache.find(models[0], (1.0,), tally) is None


def test_a_cache_that_does_not_exist_is_refused() -> None:
    assert open_cache(Serving(cache="off")) is None
    with pytest.raises(FactoryError, match="redis"):
        open_cache(Serving(cache="memcached://x"))
