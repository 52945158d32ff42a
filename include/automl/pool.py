"""Worker processes that can be ended at any moment: what makes a wall-clock budget hard."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from include.automl.memory import used_bytes
from include.automl.worker import Failed, Setup, Work, serve

PRELOAD = [
    "include.automl.worker",
    "include.features.plan",
    "include.evaluation.metrics",
    "threadpoolctl",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "joblib",
    "skops.io",
]
"""Imported once by the server that workers are forked from, so that a new worker starts at once."""
GUARD_SECONDS = 0.5
"""How often the memory of the workers is looked at."""
LIBRARIES = ("xgboost", "lightgbm", "catboost")
"""Families that bear the name of the library that they import: it is imported beforehand when they are searched."""


@dataclass(eq=False)
class Worker:
    """One process, and what it is working on."""

    process: Any
    connection: Connection
    work: Work | None = None
    too_large: bool = False
    """Whether it was ended because the workers needed too much memory."""


class WorkerPool(ABC):
    """Workers of one search, wherever they are. A worker has the attribute ``work``, None when it is idle."""

    @abstractmethod
    def submit(self, work: Work) -> None:
        """Give ``work`` to an idle worker, or to a new one."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """Number of workers that are at work."""

    @abstractmethod
    def reports(self, timeout: float | None) -> list[tuple[Any, Any]]:
        """Wait for reports; return (worker, report) pairs, none when ``timeout`` seconds have passed.

        A worker that died reports `Failed` and is forgotten.
        """

    @abstractmethod
    def answer(self, worker: Any, go_on: bool) -> None:
        """Tell a worker that reported a fold whether to go on; if not, it is idle."""

    @abstractmethod
    def cancel(self) -> list[Work]:
        """End every worker at once, whatever it is doing; return the work that is lost."""


MakePool = Callable[[Setup], WorkerPool]


def warm_up(families: Iterable[str]) -> None:
    """Start the server that workers of ``families`` are forked from, without waiting for its imports."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin would starve the trials beside them
    forkserver.set_forkserver_preload([*PRELOAD, *(family for family in families if family in LIBRARIES)])
    forkserver.ensure_running()


class Pool(WorkerPool):
    """Processes that work for one search; a dead one costs only the work that it had, and is replaced."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._start_method = multiprocessing.get_context("forkserver")
        self._workers: list[Worker] = []
        self._looked = 0.0

    def submit(self, work: Work) -> None:
        """Give ``work`` to an idle worker, or to a new one."""
        for worker in [worker for worker in self._workers if worker.work is None]:
            try:
                worker.connection.send(work)
            except OSError:  # it died while it was idle
                self._workers.remove(worker)
                continue
            worker.work = work
            return
        worker = self._start()
        worker.work = work
        worker.connection.send(work)

    @property
    def busy(self) -> int:
        """Number of workers that are at work."""
        return sum(worker.work is not None for worker in self._workers)

    def reports(self, timeout: float | None) -> list[tuple[Worker, Any]]:
        """Wait for reports; return (worker, report) pairs, none when ``timeout`` seconds have passed.

        A worker that died reports `Failed` and is forgotten.
        """
        by_handle: dict[Any, Worker] = {}
        for worker in self._workers:
            if worker.work is not None:
                by_handle[worker.connection] = by_handle[worker.process.sentinel] = worker
        deadline = math.inf if timeout is None else time.monotonic() + max(timeout, 0.0)
        while not (ready := wait(list(by_handle), max(0.0, min(GUARD_SECONDS, deadline - time.monotonic())))):
            self._guard()
            if not by_handle or time.monotonic() >= deadline:
                return []
        self._guard()
        return [(worker, self._receive(worker)) for worker in dict.fromkeys(by_handle[handle] for handle in ready)]

    def answer(self, worker: Worker, go_on: bool) -> None:
        """Tell a worker that reported a fold whether to go on; if not, it is idle."""
        with suppress(OSError):  # it died meanwhile: the next reports say so
            worker.connection.send(go_on)
        if not go_on:
            worker.work = None

    def cancel(self) -> list[Work]:
        """End every worker at once, whatever it is doing; return the work that is lost."""
        lost = [worker.work for worker in self._workers if worker.work is not None]
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()
        return lost

    def _start(self) -> Worker:
        ours, theirs = self._start_method.Pipe()
        process = self._start_method.Process(target=serve, args=(theirs, self._setup), daemon=True)
        process.start()
        theirs.close()
        worker = Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _guard(self) -> None:
        """End the largest worker when all of them together need more memory than they may."""
        if time.monotonic() < self._looked + GUARD_SECONDS:
            return
        self._looked = time.monotonic()
        used = [(used_bytes(worker.process.pid), worker) for worker in self._workers]
        if sum(size for size, _ in used) > self._setup.memory:
            largest = max(used, key=lambda pair: pair[0])[1]
            largest.too_large = True
            largest.process.kill()

    def _receive(self, worker: Worker) -> Any:
        try:
            if worker.connection.poll():
                return worker.connection.recv()
        except (EOFError, OSError):
            pass
        worker.process.join()
        code = worker.process.exitcode
        self._workers.remove(worker)
        if worker.too_large:
            bound = self._setup.memory / 2**30
            return Failed(f"the trials needed more than {bound:.3g} GiB, and it most of all; raise search.memory_gb")
        return Failed(f"its process died ({_reason(code)})")


def _reason(code: int | None) -> str:
    if code == -9:
        return "killed; was the memory used up?"
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
