"""One cell: a system is asked, watched, and judged."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.automl.cells import Cell
from benchmarks.automl.datasets import Dataset
from benchmarks.automl.job import ANSWER, OUTPUTS, Job
from benchmarks.automl.process import run
from benchmarks.automl.scoring import scores
from benchmarks.automl.systems import System
from include.specs import FactoryError

if TYPE_CHECKING:
    import pandas as pd

CORES = 2


def one(dataset: Dataset, system: System, budget: float, seed: int, kept: dict[str, object]) -> Cell:
    """Fit one system on one split and return its cell; ``kept`` is what the cell says of system and machine."""
    with tempfile.TemporaryDirectory(prefix="bench-automl-") as folder:
        job, target = asked(dataset, system, budget, seed, Path(folder))
        load = os.getloadavg()[0]
        watched = run(job, system.python)
        found: dict[str, Any] = {"failure": watched.failure}
        if not watched.failure:
            answer = json.loads((Path(folder) / ANSWER).read_text(encoding="utf-8"))
            try:
                found["score"], found["replicates"] = judged(job, dataset, target, answer)
            except FactoryError as error:
                found["failure"] = str(error)
            found |= {name: answer[name] for name in ("predict_seconds", "one_row_ms", "facts")}
    return Cell(
        dataset=dataset.name, system=system.name, budget=budget, seed=seed, task=dataset.task, metric=dataset.metric,
        date=datetime.now(UTC).date().isoformat(), others=round(watched.others, 3), load=round(load, 2),
        peak_mib=round(watched.peak_mib), fit_seconds=watched.seconds.get("fitted"),
        package_seconds=watched.seconds.get("packaged"), **found, **kept,
    )  # fmt: skip


def asked(dataset: Dataset, system: System, budget: float, seed: int, folder: Path) -> tuple[Job, pd.Series]:
    """Write the tables of a split into ``folder``; return the job on them, and the target of the test rows."""
    train, test = dataset.split(seed)
    train.to_csv(folder / "train.csv", index=False)
    test.drop(columns=dataset.target).to_csv(folder / "test.csv", index=False)
    job = Job(
        module=system.module, options=dict(system.options), folder=str(folder), task=dataset.task,
        target=dataset.target, metric=dataset.metric, dates=dataset.dates, budget=budget, seed=seed, cores=CORES,
    )  # fmt: skip
    return job, test[dataset.target]


def judged(job: Job, dataset: Dataset, target: pd.Series, answer: dict[str, Any]) -> tuple[float, list[float]]:
    """Return the score of a job that is done, and those on resamples of the test rows.

    Raises:
        FactoryError: its answers are not what was asked for.
    """
    return scores(dataset, job.seed, target, np.load(Path(job.folder) / OUTPUTS), answer["classes"])
