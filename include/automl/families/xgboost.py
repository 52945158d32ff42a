"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Family, Params, Space
from include.specs.training import Task


class XGBoost(Family):
    """Boosted trees on histograms."""

    name = "xgboost"

    def defaults(self, task: Task) -> Params:
        """Return a careful middle: shallow trees, a small step, most rows and columns."""
        return {
            "rounds": 200,
            "step": 0.06,
            "depth": 5,
            "min_child_weight": 3.0,
            "rows": 0.8,
            "columns": 0.8,
            "l2": 1.0,
        }

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the number and the step of the rounds, the shape of a tree, and its regularisation."""
        return {
            "rounds": space.suggest_int("rounds", 50, 600, log=True),
            "step": space.suggest_float("step", 0.01, 0.3, log=True),
            "depth": space.suggest_int("depth", 2, 10),
            "min_child_weight": space.suggest_float("min_child_weight", 0.5, 50.0, log=True),
            "rows": space.suggest_float("rows", 0.5, 1.0),
            "columns": space.suggest_float("columns", 0.4, 1.0),
            "l2": space.suggest_float("l2", 1e-2, 30.0, log=True),
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return an XGBClassifier or an XGBRegressor."""
        from xgboost import XGBClassifier, XGBRegressor

        booster = XGBRegressor if task == "regression" else XGBClassifier
        return booster(
            n_estimators=params["rounds"],
            learning_rate=params["step"],
            max_depth=params["depth"],
            min_child_weight=params["min_child_weight"],
            subsample=params["rows"],
            colsample_bytree=params["columns"],
            reg_lambda=params["l2"],
            tree_method="hist",
            n_jobs=threads,
            random_state=seed,
        )

    def for_serving(self, estimator: Any) -> Any:
        """Return the estimator on one thread; the booster inside keeps a number of its own, and saves it."""
        estimator.get_booster().set_param({"nthread": 1})
        return super().for_serving(estimator)
