"""The process that runs trials: it loads the prepared rows once, then works off what it is sent."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path

from include.automl.bench import Bench, Configuration, Options
from include.automl.columns import ColumnChoice, look
from include.automl.ensemble.assemble import Part, assemble
from include.automl.ensemble.calibration import Calibration
from include.automl.trial import Trial, refit
from include.features.objective import Objective
from include.specs.training import Features


@dataclass(frozen=True)
class Setup:
    """What a worker needs once.

    Attributes:
        data: folder of the prepared rows.
        features: the spec's features.
        objective: what is optimised.
        folds: most folds of the cross-validation; as many as suit the rows when None.
        seed: of every random choice.
        threads: most threads of a trial.
        scratch: folder for out-of-fold predictions, shared by the workers.
        memory: bytes that the workers may use together.
        options: of every fit.
    """

    data: Path
    features: Features
    objective: Objective
    folds: int | None
    seed: int
    threads: int
    scratch: Path
    memory: int
    options: Options


@dataclass(frozen=True)
class Validate:
    """Work: cross-validate a configuration, on the first ``folds`` folds when not on all.

    A fit that can stop does so after ``seconds``.
    """

    number: int
    configuration: Configuration
    folds: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Refit:
    """Work: fit a trial's configuration on all training rows, with ``threads`` threads, for ``seconds`` at most."""

    number: int
    configuration: Configuration
    threads: int
    seconds: float | None = None


@dataclass(frozen=True)
class Look:
    """Work: find out within ``seconds`` which columns can go, and which features pay that are made of two of them."""

    seconds: float


@dataclass(frozen=True)
class Assemble:
    """Work: make one model of the fitted ``parts`` and save it to ``file``, ready to serve; stacked with ``biases``."""

    parts: tuple[Part, ...]
    classes: int | None
    calibration: Calibration
    file: Path
    biases: tuple[float, ...] = ()


@dataclass(frozen=True)
class Refitted:
    """Report: the model and its feature plan are kept."""


@dataclass(frozen=True)
class Looked:
    """Report: what was found of the columns."""

    columns: ColumnChoice


@dataclass(frozen=True)
class Assembled:
    """Report: the file is written."""


@dataclass(frozen=True)
class Failed:
    """Report: the work failed; the worker goes on."""

    reason: str


Work = Validate | Refit | Look | Assemble


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
            if isinstance(work, Assemble):
                assemble(work.parts, setup.scratch, work.classes, work.calibration, work.file, work.biases)
                connection.send(Assembled())
                continue
            if bench is None:
                prepared = Prepared.load(setup.data)
                bench = Bench(prepared, setup.features, setup.objective, setup.folds, setup.seed, setup.options)
                loaded = time.monotonic() - started
            _do(work, bench, setup, loaded, connection)
        except Exception as error:  # a trial loses only itself
            connection.send(Failed(f"{type(error).__name__}: {error}"))


def _do(work: Validate | Refit | Look, bench: Bench, setup: Setup, loaded: float, connection: Connection) -> None:
    from threadpoolctl import threadpool_limits

    threads = work.threads if isinstance(work, Refit) else setup.threads
    with threadpool_limits(limits=threads):
        if isinstance(work, Refit):
            fitted = refit(bench, work.configuration, work.threads, work.seconds)
            fitted.keep(setup.scratch, work.number, work.configuration)
            connection.send(Refitted())
        elif isinstance(work, Look):
            connection.send(Looked(look(bench.prepared, bench.features, bench.objective, work.seconds, bench.seed)))
        else:
            _validate(work, bench, setup, loaded, connection)


def _validate(work: Validate, bench: Bench, setup: Setup, loaded: float, connection: Connection) -> None:
    """Report each fold; of all but the last one wait for an answer: True to go on, False to leave the trial."""
    trial = Trial(bench, work.configuration, setup.threads, loaded, work.folds, work.seconds)
    for fold in count():
        done, files = trial.next()
        started = time.monotonic()
        files.keep(setup.scratch, work.number, fold, work.configuration)
        connection.send(replace(done, save_seconds=time.monotonic() - started))
        if done.last or not connection.recv():
            return


def _die_with_parent() -> None:
    """End this process when the search is gone (kill -9), also in the middle of a long fit."""
    if (parent := parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _prefer_as_victim() -> None:
    """Ask Linux to end a worker, not the search, when memory runs out: a trial loses only itself."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
