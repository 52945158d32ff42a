"""Regularised linear models: logistic regression and ridge."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Family, Params, Space
from include.specs.training import Task


class Linear(Family):
    """L2-regularised logistic regression for classes, ridge for numbers; ``strength`` is the weight of the penalty."""

    name = "linear"
    view = "scaled"

    def defaults(self, task: Task) -> Params:
        """Return scikit-learn's own default strength."""
        return {"strength": 1.0}

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the strength of the penalty."""
        return {"strength": space.suggest_float("strength", 1e-3, 1e4, log=True)}

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a LogisticRegression or a Ridge."""
        from sklearn.linear_model import LogisticRegression, Ridge

        if task == "regression":
            return Ridge(alpha=params["strength"], random_state=seed)
        return LogisticRegression(C=1 / params["strength"], max_iter=1000, random_state=seed)
