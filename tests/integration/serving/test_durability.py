"""What must not happen: a dropped request at a swap, a lost prediction at a kill, a failure while the database is away."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy.exc import SQLAlchemyError

from include.specs import Platform, load_platform
from include.store.prediction_log import PredictionLog
from tests.integration.conftest import free_port
from tests.integration.postgres import postgres_running
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, put


@pytest.fixture
def server(serve: Callable[..., Server], platform: Platform) -> Server:
    for number in (1, 2):
        put(platform.home, "churn", number, churn(number))
    server = serve().start()
    server.route("churn", ("champion", 1, 90), ("challenger", 2, 10)).raise_for_status()
    return server


class Callers:
    """Threads that predict without a pause and note what was acknowledged, and what failed."""

    def __init__(self, server: Server, model: str) -> None:
        self.server, self.model = server, model
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.versions: set[str] = set()
        self.stopped = threading.Event()

    def wait_for_answers(self, number: int = 30, seconds: float = 60) -> None:
        """Wait until ``number`` more requests were answered."""
        wanted, deadline = len(self.acknowledged) + number, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} answers, {self.failed[:3]}"
            time.sleep(0.02)

    def call(self, caller: int) -> None:
        number = 0
        with httpx.Client(base_url=self.server.url, timeout=30, trust_env=False) as client:
            while not self.stopped.is_set():
                number += 1
                name = f"{caller}-{number}"
                try:
                    response = client.post(f"/v1/models/{self.model}/predict", json={"id": name, "features": ROW})
                except httpx.TransportError as error:
                    self.failed.append(f"{name}: {error!r}")
                    continue
                if response.status_code == 200:
                    self.acknowledged.append(name)
                    self.versions.add(response.json()["version"])
                else:
                    self.failed.append(f"{name}: {response.status_code} {response.text}")


@contextmanager
def calling(server: Server, model: str = "churn", threads: int = 4) -> Iterator[Callers]:
    callers = Callers(server, model)
    with ThreadPoolExecutor(threads) as pool:
        for caller in range(threads):
            pool.submit(callers.call, caller)
        try:
            yield callers
        finally:
            callers.stopped.set()


def recorded(platform: Platform, model: str, wanted: set[str], seconds: float = 60) -> set[str]:
    """Return the ids in the model's log, as soon as ``wanted`` are among them."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = set(PredictionLog(platform).frame(model)["id"])
        except SQLAlchemyError:  # the server's log writer is still making the tables of a new database
            found = set()
        if wanted <= found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_fifty_swaps_under_load_drop_nothing(shared: Server) -> None:
    for number in (1, 2):
        put(shared.platform.home, "swapped", number, churn(number))
    shared.route("swapped", ("champion", 1, 100)).raise_for_status()
    with calling(shared, "swapped") as callers:
        for swap in range(50):
            route = shared.route("swapped", ("champion", 1 + swap % 2, 100))
            assert route.json()["revision"] == swap + 2, route.text
    assert callers.failed == []
    assert callers.versions == {"1", "2"}
    assert len(callers.acknowledged) > 100
    acknowledged = set(callers.acknowledged)
    assert acknowledged - recorded(shared.platform, "swapped", acknowledged) == set()


def test_kill_9_in_the_middle_of_traffic_loses_nothing_that_was_acknowledged(
    server: Server, platform: Platform
) -> None:
    acknowledged: set[str] = set()
    for _ in range(2):
        with calling(server) as callers:
            callers.wait_for_answers()
            server.kill()
        acknowledged |= set(callers.acknowledged)
        server.start()
        route = server.http.get("/v1/routes/churn", headers=server.key).json()
        assert [variant["weight"] for variant in route["variants"]] == [90, 10]
    assert acknowledged - recorded(platform, "churn", acknowledged) == set()


def test_a_stop_commits_everything_and_a_start_serves_what_can_be_loaded(server: Server, platform: Platform) -> None:
    before = server.http.post("/v1/models/churn/versions/1/predict", json={"features": ROW}).json()
    with calling(server) as callers:
        time.sleep(1)
        assert server.stop() == 0
    assert set(callers.acknowledged) - set(PredictionLog(platform).frame("churn")["id"]) == set()
    assert list((platform.home / "spool").glob("*.jsonl")) == []

    (platform.home / "cache" / "models" / "churn" / "2" / "model.skops").write_bytes(b"broken")
    server.start()
    answers = [server.predict("churn", ROW, id=f"r{i}").json() for i in range(50)]
    assert {answer["version"] for answer in answers} == {"1"}
    assert answers[0]["probabilities"] == before["probabilities"]
    health = server.http.get("/health").json()
    assert (health["status"], set(health["failures"])) == ("degraded", {"churn"})


def test_a_locked_database_delays_no_answer_and_no_record_is_lost(shared: Server) -> None:
    shared.predict("churn", ROW, id="before-lock").raise_for_status()
    assert "before-lock" in recorded(shared.platform, "churn", {"before-lock"})
    lock = sqlite3.connect(shared.platform.home / "factory.db", isolation_level=None, timeout=60)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        for number in range(50):
            shared.predict("churn", ROW, id=f"locked-{number}").raise_for_status()
        labels = {"labels": [{"id": "before-lock", "label": "leaves"}]}
        assert shared.http.post("/v1/models/churn/feedback", json=labels).json() == {"accepted": 1}
        assert shared.http.get("/health").json()["log"]["backlog_bytes"] > 0
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    wanted = {f"locked-{number}" for number in range(50)}
    assert wanted <= recorded(shared.platform, "churn", wanted, seconds=60)
    frame = PredictionLog(shared.platform).frame("churn").set_index("id")
    assert frame.loc["before-lock", "label"] == "leaves"


def test_postgres_may_be_away_at_the_start_and_in_the_middle(
    serve: Callable[..., Server], platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(platform.home, "churn", 1, churn())
    port = free_port()
    uri = f"postgresql://factory:swordfish@127.0.0.1:{port}/postgres"
    monkeypatch.setenv("FACTORY_DATABASE_URI", uri)
    load_platform.cache_clear()
    with_postgres = load_platform()
    server = serve()
    with postgres_running(port):
        server.start()
        server.route("churn", ("champion", 1, 100)).raise_for_status()
        server.predict("churn", ROW, id="there").raise_for_status()
        assert "there" in recorded(with_postgres, "churn", {"there"})
    # now it is gone, for good: what comes back later is an empty database
    assert server.route("churn", ("champion", 1, 100)).status_code == 503
    for number in range(20):
        server.predict("churn", ROW, id=f"away-{number}").raise_for_status()
    server.kill()
    server.start()  # routes from the local snapshot
    for number in range(20, 40):
        server.predict("churn", ROW, id=f"away-{number}").raise_for_status()
    labels = {"labels": [{"id": "away-1", "label": "stays"}]}
    assert server.http.post("/v1/models/churn/feedback", json=labels).status_code == 200
    wanted = {f"away-{number}" for number in range(40)}
    with postgres_running(port):
        assert wanted <= recorded(with_postgres, "churn", wanted)
        assert server.stop() == 0
