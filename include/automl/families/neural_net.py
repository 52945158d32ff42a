"""Small neural nets for tables: several of them side by side, by numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from include.automl.families.base import Conditions, Family, Params, Rows, Space
from include.automl.families.weights import balanced
from include.specs import FactoryError
from include.specs.training import Task

MOST_COLUMNS = 20_000
"""Columns beyond which learning would take gigabytes: each has some hundred weights, which are kept several times."""
_BY_LABELS = ("accuracy", "balanced_accuracy", "f1", "f1_macro")
_BY_MEDIAN = ("mae", "median_ae")


class NeuralNet(Family):
    """An ensemble of small multi-layer perceptrons that learn together (`include.inference.mlp`)."""

    name = "neural_net"
    view = "scaled"

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return nets that see quantiles of each column, then such that see values alone, and long-trained ones."""
        stepped = self._params(32, 2, 64, 8, dropout=0.1, step=0.03, decay=0.02)
        plain = self._params(32, 2, 64, 0, dropout=0.1, step=0.02, decay=0.02)
        trained_long = self._params(64, 2, 96, 16, dropout=0.0, step=0.04, decay=0.02)
        return (stepped, trained_long, plain) if task == "regression" else (stepped, plain, trained_long)

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the shape of the nets, how they see a column, and how they learn.

        Held rows end learning, but the step size falls over all epochs: how many there may be makes a difference.
        """
        return self._params(
            epochs=space.suggest_int("epochs", 16, 96, log=True),
            hidden=space.suggest_int("hidden", 1, 3),
            width=space.suggest_int("width", 16, 128, log=True),
            quantiles=space.suggest_categorical("quantiles", (0, 4, 8, 16)),
            dropout=space.suggest_float("dropout", 0.0, 0.4),
            step=space.suggest_float("step", 3e-3, 0.1, log=True),
            decay=space.suggest_float("decay", 1e-3, 0.3, log=True),
        )

    def _params(
        self, epochs: int, hidden: int, width: int, quantiles: int, dropout: float, step: float, decay: float
    ) -> Params:
        return {
            "epochs": epochs,
            "hidden": hidden,
            "width": width,
            "quantiles": quantiles,
            "dropout": dropout,
            "step": step,
            "decay": decay,
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a TabularMLPClassifier or a TabularMLPRegressor."""
        from include.inference.mlp import TabularMLPClassifier, TabularMLPRegressor

        net = TabularMLPRegressor if task == "regression" else TabularMLPClassifier
        return net(**params, n_jobs=threads, random_state=seed)

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit it; held rows tell by the metric, or the loss next to it, which of its epochs were the best.

        Raises:
            FactoryError: there are too many columns.
        """
        columns = rows.values.shape[1]
        if columns > MOST_COLUMNS:
            raise FactoryError(
                f"{columns} columns are too many for neural nets (at most {MOST_COLUMNS}); use another family, or "
                "leave columns out by features.exclude"
            )
        classifies = hasattr(estimator, "predict_proba")
        if classifies:
            estimator.set_params(stop_by="error" if conditions.metric in _BY_LABELS else "log")
        else:
            estimator.set_params(loss="absolute" if conditions.metric in _BY_MEDIAN else "squared")
        rows = balanced(rows, conditions, classifies)
        held = conditions.held and balanced(conditions.held, conditions, classifies)
        return estimator.fit(
            rows.values,
            rows.target,
            sample_weight=rows.weights,
            held=None if held is None else (held.values, held.target, held.weights),
            seconds=conditions.seconds,
        )

    def settled(self, params: Params, estimators: Sequence[Any]) -> Params:
        """Return ``params`` with the mean number of epochs that ``estimators`` kept."""
        if not estimators:
            return params
        return {**params, "epochs": max(1, round(float(np.mean([one.epochs_ for one in estimators]))))}
