"""FLAML, as its documentation calls it: ``AutoML().fit`` with a time budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from flaml import AutoML

from benchmarks.automl.job import Job


def fit(job: Job, train: pd.DataFrame) -> Model:
    """Fit within the budget; the retraining of the best configuration is in it, as FLAML plans it."""
    automl = AutoML()
    automl.fit(
        train.drop(columns=job.target),
        train[job.target],
        task="regression" if job.task == "regression" else "classification",
        metric=job.metric,
        time_budget=job.budget,
        n_jobs=job.cores,
        seed=job.seed,
        verbose=0,
    )
    return Model(automl, None if job.task == "regression" else list(automl.classes_))


class Model:
    """What FLAML found."""

    def __init__(self, automl: AutoML, classes: list[Any] | None) -> None:
        self._automl, self.classes = automl, classes
        self._answer = automl.predict if classes is None else automl.predict_proba
        self.facts = {"best": automl.best_estimator}

    def package(self) -> None:
        """Do nothing: it is asked as it is."""

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Return probabilities or values."""
        return np.asarray(self._answer(frame))

    def single(self, frame: pd.DataFrame) -> tuple[list[Any], Callable[[Any], Any]]:
        """Return frames of one row."""
        return [frame.iloc[[row]] for row in range(len(frame))], self._answer
