"""Extremely randomised trees."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Params, Space
from include.automl.families.forest import Forest
from include.specs.training import Task


class ExtraTrees(Forest):
    """Trees whose thresholds are drawn at random (Geurts et al. 2006): quicker to grow, and smoother."""

    name = "extra_trees"
    can_be_monotone = True

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return leaves that follow every row, for classes after such that average over noise."""
        averaged: Params = {"trees": 100, "min_leaf": 5, "features": 0.7}
        exact: Params = {**averaged, "min_leaf": 1}
        if task == "regression":
            return exact, averaged
        return {**averaged, "criterion": "entropy"}, {**exact, "criterion": "gini"}

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the size of the forest, of its leaves, and the share of columns that a split sees."""
        drawn: Params = {
            "trees": space.suggest_int("trees", 50, 120, log=True),
            "min_leaf": space.suggest_int("min_leaf", 1, 50, log=True),
            "features": space.suggest_float("features", 0.05, 1.0),
        }
        if task != "regression":
            drawn["criterion"] = space.suggest_categorical("criterion", ("gini", "entropy"))
        return drawn

    def kind(self, task: Task) -> Any:
        """Return ExtraTreesClassifier or ExtraTreesRegressor."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return ExtraTreesRegressor if task == "regression" else ExtraTreesClassifier
