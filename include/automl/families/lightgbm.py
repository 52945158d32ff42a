"""Gradient-boosted trees by LightGBM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from include.automl.families.base import Conditions, Params, Rows, Space
from include.automl.families.boosting import (
    LARGER_IS_BETTER,
    Boosted,
    Measure,
    Watch,
    learns_absolute,
    measure,
    monotone,
)
from include.automl.families.weights import balanced
from include.specs.training import Task

_METRICS: dict[Measure, str] = {"roc_auc": "auc", "average_precision": "average_precision", "rmse": "rmse", "mae": "l1"}


class LightGBM(Boosted):
    """Boosted trees on histograms, grown leaf by leaf."""

    name = "lightgbm"
    most_rounds = 5000

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return small trees first for classes, middling ones for values; then random splits, and large ones last."""
        small = self._params(0.06, 8, 5, 0.8, 0.6, 0.1, 1.0, False)
        split_at_random = self._params(0.08, 64, 5, 0.9, 0.6, 0.3, 1.0, True)
        middling = self._params(0.05, 31, 20, 0.85, 0.7, 0.1, 1.0, False)
        large = self._params(0.03, 96, 5, 0.9, 0.55, 0.1, 0.5, False)
        if task == "regression":
            return middling, small, split_at_random, large
        return small, split_at_random, middling, large

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the step of the rounds, the shape of a tree, its regularisation, and how splits are found."""
        return self._params(
            step=space.suggest_float("step", 0.01, 0.3, log=True),
            leaves=space.suggest_int("leaves", 4, 255, log=True),
            min_leaf=space.suggest_int("min_leaf", 1, 100, log=True),
            rows=space.suggest_float("rows", 0.5, 1.0),
            columns=space.suggest_float("columns", 0.3, 1.0),
            l1=space.suggest_float("l1", 1e-3, 10.0, log=True),
            l2=space.suggest_float("l2", 1e-3, 30.0, log=True),
            random_splits=space.suggest_categorical("random_splits", (False, True)),
        )

    def _params(
        self,
        step: float,
        leaves: int,
        min_leaf: int,
        rows: float,
        columns: float,
        l1: float,
        l2: float,
        random_splits: bool,
    ) -> Params:
        return {
            "rounds": self.most_rounds,
            "step": step,
            "leaves": leaves,
            "min_leaf": min_leaf,
            "rows": rows,
            "columns": columns,
            "l1": l1,
            "l2": l2,
            "random_splits": random_splits,
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return an LGBMClassifier or an LGBMRegressor."""
        from lightgbm import LGBMClassifier, LGBMRegressor

        booster = LGBMRegressor if task == "regression" else LGBMClassifier
        return booster(
            n_estimators=params["rounds"],
            learning_rate=params["step"],
            num_leaves=params["leaves"],
            min_child_samples=params["min_leaf"],
            subsample=params["rows"],
            subsample_freq=1,
            colsample_bytree=params["columns"],
            reg_alpha=params["l1"],
            reg_lambda=params["l2"],
            extra_trees=params["random_splits"],
            n_jobs=threads,
            random_state=seed,
            deterministic=True,
            force_col_wise=True,
            verbosity=-1,
        )

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit and keep the best rounds; the objective follows the metric."""
        from lightgbm import LGBMClassifier

        classifies = isinstance(estimator, LGBMClassifier)
        rows, held = balanced(rows, conditions, classifies), conditions.held
        by = measure(rows, conditions, classifies)
        watch = Watch(estimator.learning_rate, conditions.seconds)
        estimator.set_params(
            **({"metric": _METRICS[by]} if by in _METRICS else {}),
            **({"objective": "regression_l1"} if learns_absolute(by, conditions) else {}),
            **({"monotone_constraints": signs} if (signs := monotone(conditions)) else {}),
        )
        estimator.fit(
            rows.values,
            rows.target,
            sample_weight=rows.weights,
            eval_set=None if held is None else [(held.values, held.target)],
            eval_sample_weight=None if held is None or held.weights is None else [held.weights],
            callbacks=[_callback(watch, 1.0 if by in LARGER_IS_BETTER else -1.0)],
        )
        estimator.set_params(n_estimators=self.rounds_of(estimator))
        estimator._evals_result, estimator._best_score, estimator.booster_.best_score = {}, {}, {}
        return estimator

    def for_serving(self, estimator: Any) -> Any:
        """Return the estimator on one thread, with thresholds that every runtime of single precision keeps to."""
        estimator._Booster = _in_single_precision(estimator.booster_)
        return super().for_serving(estimator)

    def rounds_of(self, estimator: Any) -> int:
        """Return the rounds of the booster, of which LightGBM keeps none after the best."""
        return int(estimator.booster_.current_iteration())


def _in_single_precision(booster: Any) -> Any:
    """Return a booster that answers float32 rows the same, with thresholds that are float32 numbers.

    A float32 value is at most a threshold just when it is at most the largest float32 number below it. Rounded to the
    nearest one instead, as converters do, a threshold may pass to the other side of a value.
    """
    from lightgbm import Booster

    mark = "threshold="
    lines = [
        mark + " ".join(map(repr, _rounded_down(line.removeprefix(mark)))) if line.startswith(mark) else line
        for line in booster.model_to_string().split("\n")
        if not line.startswith("tree_sizes=")  # in bytes, which are others now
    ]
    return Booster(model_str="\n".join(lines))


def _rounded_down(numbers: str) -> list[float]:
    exact = np.array(numbers.split(), dtype=np.float64)
    near = exact.astype(np.float32)
    below = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    rounded: list[float] = below.astype(np.float64).tolist()
    return rounded


def _callback(watch: Watch, sign: float) -> Callable[[Any], None]:
    from lightgbm.callback import EarlyStopException

    def stop(now: Any) -> None:
        scored = now.evaluation_result_list
        last = now.iteration == now.end_iteration - 1
        if not scored:
            if watch.late:
                raise EarlyStopException(now.iteration, [])
        elif watch.stops(now.iteration, sign * scored[0].metric_value) or last:
            raise EarlyStopException(watch.best_round, scored)

    return stop
