"""The work of a trial on a node of a Ray cluster, which shares no folder with the search."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.automl.bench import Bench, Configuration, Options
from include.automl.record import FoldDone
from include.automl.trial import FoldFiles, RefitFiles, Trial, refit
from include.features.objective import Objective
from include.specs.training import Features

Files = Mapping[str, bytes]
"""The files of a folder, by name."""


@dataclass(frozen=True)
class Task:
    """What a trial worker needs once; see `include.automl.worker.Setup`."""

    features: Features
    objective: Objective
    folds: int | None
    seed: int
    threads: int
    options: Options


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
        self._bench = Bench(prepared, task.features, task.objective, task.folds, task.seed, task.options)
        self._threads = task.threads
        self._loaded = time.monotonic() - started

    def begin(self, configuration: Configuration, folds: int | None, seconds: float | None) -> None:
        """Begin a trial; see `include.automl.worker.Validate`."""
        self._trial = Trial(self._bench, configuration, self._threads, self._loaded, folds, seconds)

    def score(self) -> tuple[FoldDone, FoldFiles]:
        """Fit and score the next fold of the trial."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=self._threads):
            return self._trial.next()

    def refit(self, configuration: Configuration, seconds: float | None) -> RefitFiles:
        """Fit a configuration on all training rows."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=self._threads):
            return refit(self._bench, configuration, self._threads, seconds)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files below ``folder``."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }
