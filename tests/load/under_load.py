"""A server under full load, and what is known of it afterwards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.serving.callers import Callers
from benchmarks.serving.observe import Repeated, lag_of, unrecorded
from include.specs import Platform
from tests.integration.serving.server import Server
from tests.model_packages import ROW

CONNECTIONS = 16
ROWS = [{**ROW, "age": age, "plan": plan} for age in range(20, 60) for plan in ("basic", "pro")]
HEAD = ("fault", "answers/s", "acknowledged", "failed", "lost", "worst lag s")
TOLD: list[tuple[str, ...]] = []


@dataclass
class Load:
    """Callers at full speed, and what is known when they have ended.

    Attributes:
        lags: seconds until a sampled prediction was in the database.
    """

    callers: Callers
    platform: Platform
    lags: list[float] = field(default_factory=list)

    def wait_for_more(self, answers: int = 300, seconds: float = 60) -> None:
        """Wait until so many further requests were answered."""
        wanted = len(self.callers.acknowledged) + answers
        wait_until(lambda: len(self.callers.acknowledged) >= wanted, seconds)

    def wait_for_a_short_lag(self, bound: float) -> None:
        """Wait until what is answered now is in the database within ``bound`` seconds: nothing waits before it."""
        lag = lag_of(self.callers, self.platform, "churn")
        wait_until(lambda: lag() < bound)

    @property
    def kinds(self) -> Counter[str]:
        """How many requests failed, by how they did."""
        return Counter(failure.kind for failure in self.callers.failures)


@dataclass
class Loaded:
    """A server whose model ``churn`` has two versions, and what each of them answers when it is calm."""

    server: Server
    platform: Platform
    expected: dict[str, list[dict[str, float]]]

    @contextmanager
    def under_load(self, fault: str) -> Iterator[Load]:
        """Call at full speed until the block ends. Whatever it does, no acknowledged prediction may be lost."""
        callers = Callers(self.server.port, "churn", ROWS, self.expected, CONNECTIONS)
        load = Load(callers, self.platform)
        started = time.monotonic()
        with callers:
            load.wait_for_more()
            with Repeated(lag_of(callers, self.platform, "churn"), 0.2) as lags:
                yield load
        rate = len(callers.acknowledged) / (time.monotonic() - started)
        lost = unrecorded(self.platform, "churn", [name for _, name in callers.acknowledged], patience=30)
        load.lags = [seconds for _, seconds in lags.results]
        failed = ", ".join(f"{count} {kind}" for kind, count in load.kinds.items())
        told = (rate, len(callers.acknowledged), failed or 0, len(lost), max(load.lags, default=0.0))
        TOLD.append((fault, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in told)))
        assert not lost, f"{len(lost)} acknowledged predictions are lost, such as {sorted(lost)[:3]}"


def calm_answers(server: Server, version: str) -> list[dict[str, float]]:
    """Return the probabilities that a version answers for each row while nothing else is asked."""
    body = {"instances": [{"features": row} for row in ROWS]}
    answer = server.http.post(f"/v1/models/churn/versions/{version}/predict/batch", json=body).raise_for_status()
    return [prediction["probabilities"] for prediction in answer.json()["predictions"]]


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for ``condition``; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.05)
