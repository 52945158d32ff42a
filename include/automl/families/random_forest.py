"""Random forests."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Params, Space
from include.automl.families.forest import Forest
from include.specs.training import Task


class RandomForest(Forest):
    """Bagged trees. The number of trees stays moderate: each one adds to the time of a single-row prediction."""

    name = "random_forest"
    can_be_monotone = True

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return leaves that follow every row, then such that average over noise."""
        averaged: Params = {"trees": 100, "min_leaf": 5, "features": 0.5, "rows": 0.8}
        exact: Params = {**averaged, "min_leaf": 1}
        if task == "regression":
            return exact, averaged
        return {**exact, "criterion": "entropy"}, {**averaged, "features": 0.3, "criterion": "gini"}

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the size of the forest, of its leaves, and the shares of columns and rows that are seen."""
        drawn: Params = {
            "trees": space.suggest_int("trees", 50, 120, log=True),
            "min_leaf": space.suggest_int("min_leaf", 1, 50, log=True),
            "features": space.suggest_float("features", 0.05, 1.0),
            "rows": space.suggest_float("rows", 0.3, 1.0),
        }
        if task != "regression":
            drawn["criterion"] = space.suggest_categorical("criterion", ("gini", "entropy"))
        return drawn

    def kind(self, task: Task) -> Any:
        """Return RandomForestClassifier or RandomForestRegressor."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return RandomForestRegressor if task == "regression" else RandomForestClassifier
