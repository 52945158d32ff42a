"""What is watched while callers call: how soon an acknowledged prediction is in the database, and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType

import numpy as np
import psutil
import sqlalchemy as sa

from benchmarks.serving.callers import Callers
from include.specs import Platform
from include.store.database import UNAVAILABLE, engine_of

MIB = 1 << 20
_PREDICTIONS = sa.table("predictions", sa.column("model"), sa.column("id"))
_IDS_AT_ONCE = 500


def unrecorded(platform: Platform, model: str, ids: Sequence[str], patience: float = 0.0) -> set[str]:
    """Return those of ``ids`` that the database does not have, after it was given ``patience`` seconds for them."""
    deadline = time.monotonic() + patience
    missing = set(ids)
    while missing:
        with suppress(*UNAVAILABLE, sa.exc.ProgrammingError):  # away, or its tables are still being made
            missing -= _recorded(platform, model, sorted(missing))
        if time.monotonic() >= deadline:
            break
        time.sleep(0.02)
    return missing


def _recorded(platform: Platform, model: str, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    with engine_of(platform).connect() as connection:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            query = sa.select(_PREDICTIONS.c.id).where(
                _PREDICTIONS.c.model == model, _PREDICTIONS.c.id.in_(ids[start : start + _IDS_AT_ONCE])
            )
            found.update(connection.execute(query).scalars())
    return found


def memory(process: int) -> float:
    """Return the proportional set size (MiB) of a process and of all that it started."""
    parent, size = psutil.Process(process), 0
    for one in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            size += one.memory_full_info().pss
    return size / MIB


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much the second numbers grow a minute, by least squares; the first are seconds."""
    seconds, values = np.array(samples).T
    return float(np.polyfit(seconds, values, 1)[0] * 60)


class Repeated:
    """Does something again and again in a thread of its own until the block ends; a context manager.

    Attributes:
        results: monotonic time and result of each time that it did.
    """

    def __init__(self, work: Callable[[], float], pause: float) -> None:
        self._work, self._pause = work, pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self.results: list[tuple[float, float]] = []

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._ended.wait(self._pause):
            self.results.append((time.monotonic(), self._work()))


def lag_of(callers: Callers, platform: Platform, model: str, patience: float = 30.0) -> Callable[[], float]:
    """Return a probe: how many seconds after its answer the latest acknowledged prediction is in the database."""

    def measure() -> float:
        if not callers.acknowledged:
            return 0.0
        at, name = callers.acknowledged[-1]
        return float("inf") if unrecorded(platform, model, [name], patience) else time.monotonic() - at

    return measure
