"""Nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from include.automl.families.base import Conditions, Family, Params, Rows, Space
from include.automl.families.weights import balanced
from include.specs import FactoryError
from include.specs.training import Task

MOST_VALUES = 5 * 10**6
"""Values that a model may remember: 20 MB, all of which it goes through for each prediction."""
MOST_DISTANCES = 1e9
"""Most distances between all rows, as a cross-validation asks for: those of 31 000."""


class NearestNeighbours(Family):
    """The answer of the nearest training rows, which the model remembers: for few rows only."""

    name = "knn"
    view = "scaled"

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return few neighbours weighted by distance, and many."""
        return {"neighbours": 12, "weights": "distance"}, {"neighbours": 50, "weights": "distance"}

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the number of neighbours, and what they weigh."""
        return {
            "neighbours": space.suggest_int("neighbours", 3, 100, log=True),
            "weights": space.suggest_categorical("weights", ("uniform", "distance")),
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a KNeighborsClassifier or a KNeighborsRegressor."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        kind = KNeighborsRegressor if task == "regression" else KNeighborsClassifier
        return kind(n_neighbors=params["neighbours"], weights=params["weights"], n_jobs=threads)

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Remember the rows; where they have weights, rows drawn by them.

        Raises:
            FactoryError: they are too many to be remembered, or to be gone through for each prediction.
        """
        count, columns = rows.values.shape
        if rows.values.size > MOST_VALUES or count**2 > MOST_DISTANCES:
            raise FactoryError(
                f"{count} rows × {columns} columns are too many for nearest neighbours; use another family, or "
                "fewer rows"
            )
        classifies = hasattr(estimator, "predict_proba")
        rows = balanced(rows, conditions, classifies)
        values, target = rows.values, rows.target
        if rows.weights is not None:
            drawn = _drawn(rows, classifies)
            values, target = values[drawn], target[drawn]
        estimator.set_params(n_neighbors=min(estimator.n_neighbors, count))
        return estimator.fit(values, target)


def _drawn(rows: Rows, classifies: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return places of rows, each as often as its share of the weight says; every class at least once."""
    weights = np.asarray(rows.weights, dtype=float)
    ends = np.cumsum(weights / weights.sum())
    drawn = np.searchsorted(ends, (np.arange(len(ends)) + 0.5) / len(ends)).clip(max=len(ends) - 1)
    if not classifies:
        return drawn
    return np.concatenate([drawn, np.setdiff1d(np.unique(rows.target, return_index=True)[1], drawn)])
