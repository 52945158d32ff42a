"""The process that runs trials: it loads the prepared rows once, then works off what it is sent."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import Any

import numpy as np

from include.automl.bench import Bench, Configuration, Objective
from include.specs.training import Features
from include.store.packages import save_estimator


@dataclass(frozen=True)
class Setup:
    """What a worker needs once.

    Attributes:
        data: folder of the prepared rows.
        features: the spec's features.
        objective: what is optimised.
        folds: most folds of the cross-validation.
        seed: of every random choice.
        threads: most threads of a trial.
        scratch: folder for out-of-fold predictions, shared by the workers.
    """

    data: Path
    features: Features
    objective: Objective
    folds: int
    seed: int
    threads: int
    scratch: Path


@dataclass(frozen=True)
class Validate:
    """Work: cross-validate a configuration, on the first ``folds`` folds when not on all."""

    number: int
    configuration: Configuration
    folds: int | None = None


@dataclass(frozen=True)
class Refit:
    """Work: fit a configuration on all training rows, with ``threads`` threads, and save the pipeline to ``file``."""

    configuration: Configuration
    threads: int
    file: Path


@dataclass(frozen=True)
class FoldDone:
    """Report: a fold was scored, and its predictions are kept.

    Unless it is the last one, the worker waits for an answer: True to go on, False to leave it.
    """

    score: float
    fit_seconds: float
    refit_seconds: float
    """What a new worker would take to load the rows and fit on all of them, reckoned from this fold."""
    last: bool


@dataclass(frozen=True)
class Refitted:
    """Report: the pipeline is saved."""


@dataclass(frozen=True)
class Failed:
    """Report: the work failed; the worker goes on."""

    reason: str


def serve(connection: Connection, setup: Setup) -> None:
    """Work off what comes over ``connection`` until None comes or the search is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search, which ends its workers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _prefer_as_victim()
    from include.features.prepared import Prepared

    bench: Bench | None = None
    started = time.monotonic()
    loaded = 0.0
    while (work := connection.recv()) is not None:
        try:
            if bench is None:
                prepared = Prepared.load(setup.data)
                bench = Bench(prepared, setup.features, setup.objective, setup.folds, setup.seed)
                loaded = time.monotonic() - started
            _do(work, bench, setup, loaded, connection)
        except Exception as error:  # a trial loses only itself
            connection.send(Failed(f"{type(error).__name__}: {error}"))


def _do(work: Validate | Refit, bench: Bench, setup: Setup, loaded: float, connection: Connection) -> None:
    from threadpoolctl import threadpool_limits

    threads = work.threads if isinstance(work, Refit) else setup.threads
    with threadpool_limits(limits=threads):
        if isinstance(work, Refit):
            save_estimator(work.file, bench.refit(work.configuration, threads))
            connection.send(Refitted())
        else:
            _validate(work, bench, setup, loaded, connection)


def _validate(work: Validate, bench: Bench, setup: Setup, loaded: float, connection: Connection) -> None:
    folds = bench.folds[: work.folds]
    for number, (fit, held) in enumerate(folds):
        scored = bench.score(work.configuration, number, setup.threads)
        keep(oof_file(setup.scratch, work.number, number), rows=held, outputs=scored.outputs)
        refit = loaded + len(bench.prepared.train) / len(fit) * (scored.plan_seconds + scored.fit_seconds)
        last = number == len(folds) - 1
        connection.send(FoldDone(scored.score, scored.fit_seconds, refit, last))
        if last or not connection.recv():
            return


def oof_file(scratch: Path, number: int, fold: int) -> Path:
    """Return where a trial's predictions for the held rows of a fold are kept."""
    return scratch / f"{number}.{fold}.npz"


def keep(file: Path, **arrays: Any) -> None:
    """Write arrays to ``file``, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez(temporary, **arrays)
    temporary.replace(file)


def _die_with_parent() -> None:
    """End this process when the search is gone (kill -9), also in the middle of a long fit."""
    if (parent := parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _prefer_as_victim() -> None:
    """Ask Linux to end a worker, not the search, when memory runs out: a trial loses only itself."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
