"""One fit inside its own process: what every system's side of it has in common.

It runs in the environments of the peers, so it imports the standard library, numpy and pandas alone. What takes how
long is not judged here: each phase is announced over a pipe, and the process that started this one looks at its clock.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

ANSWER, OUTPUTS = "answer.json", "outputs.npy"
ONE_BY_ONE, WARM_UP, LEAST, SECONDS = 200, 5, 20, 10.0
"""Single rows that are asked; the first ones are not timed, and asking ends after so many seconds."""


@dataclass(frozen=True)
class Job:
    """What a system is asked to do.

    Attributes:
        module: that fits it, such as ``benchmarks.automl.fits.flaml``.
        options: of that system, such as a preset.
        folder: holds ``train.csv`` and ``test.csv`` (without the target), and takes the answer.
        task: binary, multiclass or regression.
        metric: roc_auc, log_loss or rmse.
        dates: columns that are read as dates.
        budget: seconds of wall clock that the fit may take.
        cores: that it may use.
    """

    module: str
    options: dict[str, Any]
    folder: str
    task: str
    target: str
    metric: str
    dates: tuple[str, ...]
    budget: float
    seed: int
    cores: int

    def write(self) -> Path:
        """Write it into its folder and return the file."""
        file = Path(self.folder) / "job.json"
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return file

    @classmethod
    def read(cls, file: Path) -> Job:
        """Return what `write` wrote."""
        known = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**known, "dates": tuple(known["dates"])})

    def table(self, name: str) -> pd.DataFrame:
        """Return ``train`` or ``test``."""
        file = Path(self.folder) / f"{name}.csv"
        return pd.read_csv(file, parse_dates=list(self.dates), float_precision="round_trip")


class Fitted(Protocol):
    """A model that a system made.

    Attributes:
        classes: labels in the order of the probabilities; None for a regression.
        facts: JSON-ready, for people: what won, what it is made of.
    """

    classes: Sequence[Any] | None
    facts: dict[str, Any]

    def package(self) -> None:
        """Make it ready to serve, as the system's users do."""

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return probabilities, shape (rows, classes), or values, shape (rows,)."""

    def single(self, frame: pd.DataFrame) -> tuple[list[Any], Callable[[Any], Any]]:
        """Return single rows in the form that is asked with, and what answers one of them."""


def main() -> None:
    """Do the job that the first argument names; announce phases on the file descriptor of the second."""
    job, pipe = Job.read(Path(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(pipe, False)

    def announce(phase: str) -> None:
        os.write(pipe, f"{phase}\n".encode())

    fit = importlib.import_module(job.module).fit
    train = job.table("train")
    announce("ready")
    model: Fitted = fit(job, train)
    announce("fitted")
    model.package()
    announce("packaged")
    test = job.table("test")
    one_ms = timed(*model.single(test.head(ONE_BY_ONE)))
    started = time.perf_counter()
    outputs = np.asarray(model.predict(test), dtype=np.float64)
    seconds = time.perf_counter() - started
    np.save(Path(job.folder) / OUTPUTS, outputs)
    classes = None if model.classes is None else np.asarray(model.classes).tolist()
    answer = {"classes": classes, "one_row_ms": one_ms, "predict_seconds": seconds, "facts": model.facts}
    (Path(job.folder) / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
    announce("answered")


def timed(rows: Sequence[Any], ask: Callable[[Any], Any]) -> float:
    """Return the median of the milliseconds, on the wall, that one row takes."""
    times: list[float] = []
    began = time.monotonic()
    for call in range(WARM_UP + max(LEAST, len(rows))):
        if len(times) >= LEAST and time.monotonic() - began > SECONDS:
            break
        row = rows[call % len(rows)]
        started = time.perf_counter()
        ask(row)
        if call >= WARM_UP:
            times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


if __name__ == "__main__":
    main()
