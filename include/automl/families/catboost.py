"""Gradient-boosted trees by CatBoost."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from include.automl.families.base import Conditions, Params, Rows, Space
from include.automl.families.boosting import Boosted, Measure, learns_absolute, measure, monotone, patience
from include.automl.families.weights import balanced
from include.specs import FactoryError
from include.specs.training import Task

_METRICS: dict[Measure, str] = {"roc_auc": "AUC", "average_precision": "PRAUC", "rmse": "RMSE", "mae": "MAE"}


class CatBoost(Boosted):
    """Boosted oblivious trees: one question a level, which makes them hard to overfit and quick to answer."""

    name = "catboost"
    most_rounds = 3000

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return shallow trees first for classes, middling ones for values; deep ones, which take long, last."""
        shallow = self._params(0.1, 4, 4.0, 1.0, 1.0)
        middling = self._params(0.08, 6, 3.0, 1.0, 1.0)
        deep = self._params(0.06, 8, 3.0, 1.0, 0.5)
        return (middling, shallow, deep) if task == "regression" else (shallow, middling, deep)

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the step of the rounds, the depth of a tree, and its regularisation."""
        return self._params(
            step=space.suggest_float("step", 0.03, 0.3, log=True),
            depth=space.suggest_int("depth", 3, 9),
            l2=space.suggest_float("l2", 0.1, 30.0, log=True),
            noise=space.suggest_float("noise", 0.0, 3.0),
            columns=space.suggest_float("columns", 0.3, 1.0),
        )

    def _params(self, step: float, depth: int, l2: float, noise: float, columns: float) -> Params:
        return {
            "rounds": self.most_rounds,
            "step": step,
            "depth": depth,
            "l2": l2,
            "noise": noise,
            "columns": columns,
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a CatBoostClassifier or a CatBoostRegressor."""
        from catboost import CatBoostClassifier, CatBoostRegressor

        booster = CatBoostRegressor if task == "regression" else CatBoostClassifier
        return booster(
            iterations=params["rounds"],
            learning_rate=params["step"],
            depth=params["depth"],
            l2_leaf_reg=params["l2"],
            random_strength=params["noise"],
            rsm=params["columns"],
            border_count=128,
            boosting_type="Plain",
            thread_count=threads,
            random_seed=seed,
            verbose=False,
            allow_writing_files=False,
        )

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit and keep the best rounds; the objective follows the metric.

        Raises:
            FactoryError: no column, or not the target, has two values, of which CatBoost makes no model.
        """
        from catboost import CatBoostClassifier, Pool

        target = np.asarray(rows.target, dtype=np.float32)  # as CatBoost keeps it
        if not np.ptp(rows.values, axis=0).any() or not np.ptp(target):
            raise FactoryError(
                "CatBoost does not learn from constant columns, or a constant target; use another family"
            )
        classifies = isinstance(estimator, CatBoostClassifier)
        rows, held = balanced(rows, conditions, classifies), conditions.held
        by = measure(rows, conditions, classifies)
        if learns_absolute(by, conditions):
            estimator.set_params(loss_function="MAE")
        if signs := monotone(conditions):
            estimator.set_params(monotone_constraints=signs)
        if held is not None and by in _METRICS:
            estimator.set_params(eval_metric=_METRICS[by])
        stopping: dict[str, Any] = {}
        if held is not None:
            stopping = {
                "eval_set": Pool(held.values, held.target, weight=held.weights),
                "early_stopping_rounds": patience(estimator.get_params()["learning_rate"]),
                "use_best_model": True,
            }
        if conditions.seconds is not None:
            stopping["callbacks"] = [_Until(time.monotonic() + conditions.seconds)]
        return estimator.fit(Pool(rows.values, rows.target, weight=rows.weights), **stopping)

    def rounds_of(self, estimator: Any) -> int:
        """Return the trees of the model."""
        return int(estimator.tree_count_)


class _Until:
    """A callback that ends the fit at a time."""

    def __init__(self, ends: float) -> None:
        self._ends = ends

    def after_iteration(self, info: Any) -> bool:
        """Return whether to go on."""
        return time.monotonic() < self._ends
