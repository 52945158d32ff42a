"""Nearest neighbours."""

from __future__ import annotations

from typing import Any

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
        """Return many neighbours for classes and few for values, then the other way round."""
        if task == "regression":
            return {"neighbours": 12, "kernel": "biweight"}, {"neighbours": 40, "kernel": "epanechnikov"}
        return (
            {"neighbours": 80, "kernel": "epanechnikov", "prior": 1.0},
            {"neighbours": 20, "kernel": "biweight", "prior": 1.0},
        )

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the number of neighbours, how their weights fall with the distance, and what all rows count for."""
        drawn: Params = {
            "neighbours": space.suggest_int("neighbours", 3, 200, log=True),
            "kernel": space.suggest_categorical("kernel", ("epanechnikov", "biweight")),
        }
        if task != "regression":
            drawn["prior"] = space.suggest_float("prior", 0.01, 10.0, log=True)
        return drawn

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a NeighboursClassifier or a NeighboursRegressor."""
        from include.inference.neighbours import NeighboursClassifier, NeighboursRegressor

        kind = NeighboursRegressor if task == "regression" else NeighboursClassifier
        return kind(**params)

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Remember the rows.

        Raises:
            FactoryError: they are too many to be remembered, or to be gone through for each prediction.
        """
        count, columns = rows.values.shape
        if rows.values.size > MOST_VALUES or count**2 > MOST_DISTANCES:
            raise FactoryError(
                f"{count} rows × {columns} columns are too many for nearest neighbours; use another family, or "
                "fewer rows"
            )
        rows = balanced(rows, conditions, hasattr(estimator, "predict_proba"))
        return estimator.fit(rows.values, rows.target, rows.weights)
