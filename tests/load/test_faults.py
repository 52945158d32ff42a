"""Under full load: what a swap, a kill and a lost store cost. Failed requests are counted, lost predictions are none."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import free_port
from tests.integration.postgres import Postgres
from tests.load.stores import redis_running
from tests.load.under_load import CONNECTIONS, Loaded, wait_until

SWAPS = 50
LAG_SECONDS = 1.0


def test_fifty_swaps(loaded: Callable[..., Loaded]) -> None:
    served = loaded()
    with served.under_load(f"{SWAPS} swaps") as load:
        for swap in range(SWAPS):
            served.server.route("churn", ("champion", 1 + swap % 2, 100)).raise_for_status()
        load.wait_for_more()
    assert load.callers.failures == []
    assert load.callers.versions == {"1", "2"}
    assert max(load.lags) < LAG_SECONDS


def test_a_worker_is_killed(loaded: Callable[..., Loaded]) -> None:
    served = loaded(FACTORY_SERVING__WORKERS="2")
    with served.under_load("kill -9 of a worker") as load:
        before = _workers(served)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len({*_workers(served)} - {before[0]}) == 2)
        load.wait_for_more()
    assert {f.text for f in load.callers.failures if f.kind != "broken"} == set()
    assert load.kinds["broken"] <= CONNECTIONS, "more failed than were under way"
    assert max(load.lags) < LAG_SECONDS


def test_the_server_is_killed_and_started_again(loaded: Callable[..., Loaded]) -> None:
    served = loaded()
    with served.under_load("kill -9 of the server") as load:
        for _ in range(3):
            served.server.kill()
            served.server.start()
            load.wait_for_more()
    assert load.kinds["broken"] <= 3 * CONNECTIONS, "more failed than were under way"
    assert set(load.kinds) <= {"broken", "refused", "status"}
    starting = {f.text for f in load.callers.failures if f.kind == "status" and "503" not in f.text}
    assert not starting, "a server that starts says 503 until it is ready"


def test_the_log_writer_is_killed(loaded: Callable[..., Loaded]) -> None:
    served = loaded()
    with served.under_load("kill -9 of the log writer") as load:
        for _ in range(3):
            wait_until(lambda: _log_writers(served))
            os.kill(_log_writers(served)[0], signal.SIGKILL)
            load.wait_for_more()
    assert load.callers.failures == []


def test_redis_goes_and_comes_back(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    with redis_running(tmp_path) as redis:
        served = loaded(FACTORY_SERVING__CACHE=redis.uri)
        with served.under_load("Redis down and back") as load:
            for _ in range(2):
                redis.kill()
                load.wait_for_more()
                time.sleep(1)
                redis.start()
                load.wait_for_more()
        assert load.callers.failures == []
        assert max(load.lags) < LAG_SECONDS


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    server = Postgres(free_port())
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


def _down(postgres: Postgres) -> Iterator[None]:
    postgres.stop()
    yield
    postgres.start()


def _frozen(postgres: Postgres) -> Iterator[None]:
    postgres.signal(signal.SIGSTOP)
    yield
    postgres.signal(signal.SIGCONT)


@pytest.mark.parametrize("fault", [_down, _frozen], ids=["down", "frozen"])
def test_the_database_goes_and_comes_back(
    loaded: Callable[..., Loaded], postgres: Postgres, fault: Callable[[Postgres], Iterator[None]]
) -> None:
    """Its routes and its log are in PostgreSQL."""
    served = loaded(FACTORY_DATABASE_URI=postgres.uri)
    with served.under_load(f"PostgreSQL {fault.__name__.strip('_')} and back") as load:
        away = fault(postgres)
        next(away)
        load.wait_for_more(600)
        time.sleep(3)
        next(away, None)
        load.wait_for_a_short_lag(LAG_SECONDS)
    assert load.callers.failures == []


def _descendants(served: Loaded) -> list[psutil.Process]:
    """Return what the server started and has not ended."""
    assert served.server.process
    found = psutil.Process(served.server.process.pid).children(recursive=True)
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _log_writers(served: Loaded) -> list[int]:
    found = []
    for process in _descendants(served):
        with suppress(psutil.NoSuchProcess):  # also a zombie, that was killed a moment ago
            if "include.serving.log.writer" in process.cmdline():
                found.append(process.pid)
    return found


def _workers(served: Loaded) -> list[int]:
    """Return the processes that answer: those that listen where the server does, itself left out."""
    found = []
    for process in _descendants(served):
        with suppress(psutil.NoSuchProcess):
            listening = [c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
            if served.server.port in listening:
                found.append(process.pid)
    return found
