"""Workers of a search on a Ray cluster: whoever asks for one gets an actor, wherever there is room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.automl.pool import Work, WorkerPool
from include.automl.ray_trials import ScoredFold, Task, TrialWorker, files_of
from include.automl.worker import Failed, FoldDone, Refit, Refitted, Setup, Validate, keep, oof_file
from include.engines.ray_cluster import connect, cores


@dataclass(eq=False)
class RayWorker:
    """One actor, what it is working on, and the call that is under way."""

    actor: Any
    work: Work | None = None
    call: Any = None
    fold: int = 0


class RayPool(WorkerPool):
    """Actors that work for one search; a lost one costs only the work that it had, and is replaced.

    The rows go to the cluster once; predictions and the fitted pipeline come back, so no folder needs to be shared.

    Args:
        setup: what the workers need.
        address: see `include.engines.ray_cluster.connect`.
    """

    def __init__(self, setup: Setup, address: str = "") -> None:
        self._ray = connect(address)
        self._setup = setup
        threads = min(setup.threads, cores(self._ray))
        task = Task(setup.features, setup.objective, setup.folds, setup.seed, threads)
        self._given = (self._ray.put(files_of(setup.data)), task)
        self._actor = self._ray.remote(num_cpus=threads, max_restarts=0)(TrialWorker)
        self._workers: list[RayWorker] = []

    def submit(self, work: Work) -> None:
        """Give ``work`` to an idle actor, or to a new one, which waits until the cluster has room."""
        worker = next((worker for worker in self._workers if worker.work is None), None)
        if worker is None:
            worker = RayWorker(self._actor.remote(*self._given))
            self._workers.append(worker)
        worker.work, worker.fold = work, 0
        self._call(worker)

    @property
    def busy(self) -> int:
        """Number of actors that are at work, or wait for room."""
        return sum(worker.work is not None for worker in self._workers)

    def reports(self, timeout: float | None) -> list[tuple[RayWorker, Any]]:
        """Wait for reports; see `include.automl.pool.Pool.reports`."""
        by_call = {worker.call: worker for worker in self._workers if worker.work is not None and worker.call}
        if not by_call:
            return []
        ready, waiting = self._ray.wait(list(by_call), timeout=None if timeout is None else max(timeout, 0.0))
        more, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0) if waiting else ([], [])
        return [(by_call[call], self._receive(by_call[call])) for call in (*ready, *more)]

    def answer(self, worker: Any, go_on: bool) -> None:
        """Let a worker that reported a fold go on with the next one; if not, it is idle."""
        if not go_on:
            worker.work = None
            return
        worker.fold += 1
        self._call(worker)

    def cancel(self) -> list[Work]:
        """End every actor at once, whatever it is doing; return the work that is lost."""
        lost = [worker.work for worker in self._workers if worker.work is not None]
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers.clear()
        return lost

    def _call(self, worker: RayWorker) -> None:
        work = worker.work
        if isinstance(work, Validate):
            worker.call = worker.actor.score.remote(work.configuration, worker.fold)
        elif work is not None:
            worker.call = worker.actor.refit.remote(work.configuration)

    def _receive(self, worker: RayWorker) -> Any:
        call, worker.call = worker.call, None
        try:
            found = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            return Failed(f"{type(error.cause).__name__}: {error.cause}")
        except self._ray.exceptions.RayError as error:  # the actor, or its node, is gone
            self._workers.remove(worker)
            return Failed(f"its Ray worker was lost ({str(error).strip().splitlines()[0]})")
        if isinstance(worker.work, Refit):
            worker.work.file.parent.mkdir(parents=True, exist_ok=True)
            worker.work.file.write_bytes(found)
            return Refitted()
        return self._scored(worker, found)

    def _scored(self, worker: RayWorker, found: ScoredFold) -> FoldDone:
        assert isinstance(worker.work, Validate)
        file = oof_file(self._setup.scratch, worker.work.number, worker.fold)
        keep(file, rows=found.held, outputs=found.outputs)
        folds = found.folds if worker.work.folds is None else min(found.folds, worker.work.folds)
        return FoldDone(found.score, found.fit_seconds, found.refit_seconds, worker.fold == folds - 1)
