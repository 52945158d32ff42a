"""Workers of a search on a Ray cluster: whoever asks for one gets an actor, wherever there is room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.automl.pool import WorkerPool
from include.automl.ray_trials import Task, TrialWorker, files_of
from include.automl.record import FoldDone
from include.automl.trial import FoldFiles
from include.automl.worker import Failed, Refit, Refitted, Setup, Validate, Work
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

    The rows go to the cluster once; predictions and fitted models come back, so no folder needs to be shared. The final
    model is put together here, where they are: `Assemble` is no work for a cluster.

    Args:
        setup: what the workers need.
        address: see `include.engines.ray_cluster.connect`.
    """

    def __init__(self, setup: Setup, address: str = "") -> None:
        self._ray = connect(address)
        self._setup = setup
        threads = min(setup.threads, cores(self._ray))
        task = Task(setup.features, setup.objective, setup.folds, setup.seed, threads, setup.options)
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
            if worker.fold == 0:
                worker.actor.begin.remote(work.configuration, work.folds, work.seconds)  # calls of an actor keep order
            worker.call = worker.actor.score.remote()
        elif isinstance(work, Refit):
            worker.call = worker.actor.refit.remote(work.configuration, work.seconds)

    def _receive(self, worker: RayWorker) -> Any:
        call, worker.call = worker.call, None
        try:
            found = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            return Failed(f"{type(error.cause).__name__}: {error.cause}")
        except self._ray.exceptions.RayError as error:  # the actor, or its node, is gone
            self._workers.remove(worker)
            return Failed(f"its Ray worker was lost ({str(error).strip().splitlines()[0]})")
        work = worker.work
        if isinstance(work, Refit):
            found.keep(self._setup.scratch, work.number, work.configuration)
            return Refitted()
        return self._scored(worker, *found)

    def _scored(self, worker: RayWorker, done: FoldDone, files: FoldFiles) -> FoldDone:
        assert isinstance(worker.work, Validate)
        files.keep(self._setup.scratch, worker.work.number, worker.fold, worker.work.configuration)
        return done
