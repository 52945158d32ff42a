"""The work of a trial on a node of a Ray cluster, which shares no folder with the search."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.automl.bench import Bench, Configuration, Objective
from include.automl.folds import Array
from include.specs.training import Features
from include.store.packages import save_estimator

Files = Mapping[str, bytes]
"""The files of a folder, by name."""


@dataclass(frozen=True)
class Task:
    """What a trial worker needs once; see `include.automl.worker.Setup`."""

    features: Features
    objective: Objective
    folds: int
    seed: int
    threads: int


@dataclass(frozen=True)
class ScoredFold:
    """What a fold gave.

    Attributes:
        held: positions of the rows that ``outputs`` are for.
        refit_seconds: what a new worker would take to load the rows and fit on all of them, reckoned from this fold.
        folds: how many folds there are.
    """

    score: float
    held: Array
    outputs: Array
    fit_seconds: float
    refit_seconds: float
    folds: int


class TrialWorker:
    """Fits and scores configurations; a Ray actor is made of it."""

    def __init__(self, files: Files, task: Task) -> None:
        started = time.monotonic()
        from include.features.prepared import Prepared

        with tempfile.TemporaryDirectory(prefix="factory-ray-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            prepared = Prepared.load(Path(folder))
        self._bench = Bench(prepared, task.features, task.objective, task.folds, task.seed)
        self._threads = task.threads
        self._loaded = time.monotonic() - started

    def score(self, configuration: Configuration, fold: int) -> ScoredFold:
        """Fit on one fold and score its held rows."""
        from threadpoolctl import threadpool_limits

        fit, held = self._bench.folds[fold]
        with threadpool_limits(limits=self._threads):
            found = self._bench.score(configuration, fold, self._threads)
        refit = self._loaded + len(self._bench.prepared.train) / len(fit) * (found.plan_seconds + found.fit_seconds)
        return ScoredFold(found.score, held, found.outputs, found.fit_seconds, refit, len(self._bench.folds))

    def refit(self, configuration: Configuration) -> bytes:
        """Return the pipeline fitted on all training rows, as `save_estimator` writes it."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=self._threads), tempfile.TemporaryDirectory(prefix="factory-ray-") as folder:
            file = Path(folder, "estimator")
            save_estimator(file, self._bench.refit(configuration, self._threads))
            return file.read_bytes()


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files below ``folder``."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }
