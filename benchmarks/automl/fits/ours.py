"""Our own search, by the path that a training run takes: spec, prepared rows, search, package, chosen runtime."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.automl.job import Job
from include.automl.search import Plan, SearchResult, search
from include.evaluation.metrics import metric
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.features.schema import read
from include.inference.choose import choose_runtime
from include.inference.frames import rows_of
from include.inference.load import load_scorer
from include.inference.scorer import Row, Scorer
from include.specs import ModelSpec
from include.store.packages import ESTIMATOR, Manifest, load_package, save_manifest

STUDY, STUDY_FILE = "bench", "study.log"
"""Optuna's study and its journal, in the folder of the job."""


def fit(job: Job, train: pd.DataFrame) -> Model:
    """Prepare the rows and search; the search has what preparation leaves of the budget."""
    began, spec = time.monotonic(), _spec(job)
    prepared = _prepared(train, spec)
    folder = Path(job.folder)
    prepared.save(folder / "prepared")
    result = search(
        Plan(
            data=folder / "prepared",
            spec=spec,
            objective=metric(spec.metric),
            budget=job.budget - (time.monotonic() - began),
            storage=str(folder / STUDY_FILE),
            scratch=folder / "scratch",
            name=STUDY,
        )
    )
    return Model(job, spec, prepared, result)


def _spec(job: Job) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "bench",
            "owner": "benchmarks",
            "data": {"source": {"path": "train.csv"}},
            "problem": {"type": job.task, "target": job.target, "metric": job.metric},
            "search": {"seed": job.seed, "parallel": job.cores, "budget": f"{job.budget:g}s"},
        }
    )


def _prepared(train: pd.DataFrame, spec: ModelSpec) -> Prepared:
    """Return all rows as training rows: the rows that a training run would hold out lie with the harness here."""
    prepared = prepare_rows(train, spec, ordered=False).prepared
    return replace(
        prepared,
        train=pd.concat([prepared.train, prepared.test], ignore_index=True),
        train_target=np.concatenate([prepared.train_target, prepared.test_target]),
    )


class Model:
    """What the search found; asked by the runtime that serves it."""

    def __init__(self, job: Job, spec: ModelSpec, prepared: Prepared, result: SearchResult) -> None:
        self._job, self._spec, self._prepared, self._result = job, spec, prepared, result
        self.classes = prepared.classes
        self._scorer: Scorer | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Algorithm, seconds of the search by its own clock, trials, and the runtime."""
        assert self._scorer is not None
        return {
            "best": self._result.algorithm,
            "members": [member.record.configuration.family for member in self._result.members],
            "stacked": self._result.stack is not None,
            "trials": len(self._result.records),
            "search_seconds": round(self._result.seconds, 2),
            "score": self._result.mean,
            "runtime": self._scorer.name,
        }

    def package(self) -> None:
        """Save the package and choose its runtime, as the search step does after the budget."""
        folder = Path(self._job.folder) / "package"
        folder.mkdir()
        shutil.copy2(self._result.file, folder / ESTIMATOR)
        manifest = Manifest(
            model=self._spec.name,
            task=self._prepared.task,
            target=self._job.target,
            features=self._prepared.fields,
            classes=self._prepared.classes,
            algorithm=self._result.algorithm,
            run="bench",
            trained_at=datetime.now(UTC),
        )
        save_manifest(folder, manifest)
        packaging = self._spec.packaging
        choose_runtime(folder, load_package(folder), self._rows(self._prepared.train.head(packaging.rows)), packaging)
        self._scorer = load_scorer(folder, manifest)

    def _rows(self, frame: pd.DataFrame) -> list[Row]:
        return rows_of(frame, self._prepared.fields)

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return probabilities or values, from the table as it was read."""
        assert self._scorer is not None
        return self._scorer.score(self._rows(read(frame, self._prepared.fields)))

    def single(self, frame: pd.DataFrame) -> tuple[list[Any], Callable[[Any], Any]]:
        """Return checked rows, as the model server has them."""
        assert self._scorer is not None
        return self._rows(read(frame, self._prepared.fields)), self._scorer.score_one
