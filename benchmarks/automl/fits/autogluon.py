"""AutoGluon, as its documentation calls it: ``TabularPredictor.fit`` with a preset and a time limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor

from benchmarks.automl.job import Job

METRICS = {"rmse": "root_mean_squared_error"}
"""Metrics that AutoGluon calls otherwise."""


def fit(job: Job, train: pd.DataFrame) -> Model:
    """Fit within the time limit."""
    predictor = TabularPredictor(
        label=job.target,
        problem_type=job.task,
        eval_metric=METRICS.get(job.metric, job.metric),
        path=str(Path(job.folder) / "autogluon"),
        verbosity=1,
    )
    predictor.fit(train, presets=job.options["preset"], time_limit=job.budget, num_cpus=job.cores, num_gpus=0)
    return Model(predictor)


class Model:
    """What AutoGluon found."""

    def __init__(self, predictor: TabularPredictor) -> None:
        self._predictor = predictor
        self.classes = None if predictor.problem_type == "regression" else list(predictor.class_labels)

    @property
    def facts(self) -> dict[str, Any]:
        """The best model, and all that were fitted in time."""
        return {"best": self._predictor.model_best, "models": self._predictor.model_names()}

    def package(self) -> None:
        """Keep the models of the best one in memory, as its documentation advises before single rows are asked."""
        self._predictor.persist()

    def _answer(self, frame: pd.DataFrame) -> Any:
        if self.classes is None:
            return self._predictor.predict(frame, as_pandas=False)
        return self._predictor.predict_proba(frame, as_pandas=False, as_multiclass=True)

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return probabilities or values."""
        return np.asarray(self._answer(frame))

    def single(self, frame: pd.DataFrame) -> tuple[list[Any], Callable[[Any], Any]]:
        """Return frames of one row."""
        return [frame.iloc[[row]] for row in range(len(frame))], self._answer
