"""Support vector machines, and their approximation where rows are many."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Conditions, Family, Params, Rows, Space
from include.automl.families.weights import balanced
from include.specs import FactoryError
from include.specs.training import Task

MOST_ROWS = 100_000
MOST_VALUES = 5 * 10**7
"""Values of a matrix that is copied in double precision: 400 MB."""


class SupportVectors(Family):
    """Kernel machines with radial basis functions: smooth where trees have steps."""

    name = "svm"
    view = "scaled"

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return wide functions, then the widest, which are almost linear, then such of middling width."""
        tube = {"tube": 0.1} if task == "regression" else {}
        return (
            {"strength": 10.0, "width": 0.2, **tube},
            {"strength": 1.5, "width": 0.012, **tube},
            {"strength": 3.0, "width": 1.0, **tube},
        )

    def sample(self, space: Space, task: Task) -> Params:
        """Draw how much errors weigh, how narrow the functions are, and which errors cost nothing."""
        drawn: Params = {
            "strength": space.suggest_float("strength", 1e-2, 1e3, log=True),
            "width": space.suggest_float("width", 1e-2, 10.0, log=True),
        }
        if task == "regression":
            drawn["tube"] = space.suggest_float("tube", 0.01, 0.5, log=True)
        return drawn

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a KernelClassifier or a KernelRegressor."""
        from include.inference.kernel import KernelClassifier, KernelRegressor

        kind = KernelRegressor if task == "regression" else KernelClassifier
        return kind(**params, random_state=seed)

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit a machine of few rows, its approximation of more.

        Raises:
            FactoryError: they are too many.
        """
        count, columns = rows.values.shape
        if count > MOST_ROWS or rows.values.size > MOST_VALUES:
            raise FactoryError(
                f"{count} rows × {columns} columns are too many for a support vector machine (at most {MOST_ROWS} rows "
                f"and {MOST_VALUES} values); use another family, or fewer rows"
            )
        rows = balanced(rows, conditions, hasattr(estimator, "predict_proba"))
        return estimator.fit(rows.values, rows.target, sample_weight=rows.weights)
