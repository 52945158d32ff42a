"""Random forests."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Family, Params, Space
from include.specs.training import Task


class RandomForest(Family):
    """Bagged trees. The number of trees stays moderate: each one adds to the time of a single-row prediction."""

    name = "random_forest"

    def defaults(self, task: Task) -> Params:
        """Return a forest of small leaves."""
        share = 0.7 if task == "regression" else 0.3
        return {"trees": 100, "min_leaf": 2, "features": share, "rows": 1.0}

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the size of the forest, of its leaves, and the shares of features and rows that a tree sees."""
        return {
            "trees": space.suggest_int("trees", 50, 200, log=True),
            "min_leaf": space.suggest_int("min_leaf", 1, 50, log=True),
            "features": space.suggest_float("features", 0.1, 1.0),
            "rows": space.suggest_float("rows", 0.3, 1.0),
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a RandomForestClassifier or a RandomForestRegressor."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        forest = RandomForestRegressor if task == "regression" else RandomForestClassifier
        return forest(
            n_estimators=params["trees"],
            min_samples_leaf=params["min_leaf"],
            max_features=params["features"],
            max_samples=params["rows"],
            n_jobs=threads,
            random_state=seed,
        )
