"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

from typing import Any

from include.automl.families.base import Conditions, Params, Rows, Space
from include.automl.families.boosting import LARGER_IS_BETTER, Boosted, Watch, learns_absolute, measure, monotone
from include.automl.families.weights import balanced
from include.specs.training import Task

_METRICS = {"roc_auc": "auc", "average_precision": "aucpr", "rmse": "rmse", "mae": "mae"}


class XGBoost(Boosted):
    """Boosted trees on histograms, grown level by level."""

    name = "xgboost"
    most_rounds = 3000
    uses_gpu = True

    def can_see_gpu(self, devices: int) -> bool:
        """Tell whether the library was built for CUDA, and there is a device."""
        from xgboost import build_info

        return devices > 0 and bool(build_info().get("USE_CUDA"))

    def defaults(self, task: Task) -> Params:
        """Return the first of the portfolio."""
        return self.portfolio(task)[0]

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return what other boosted families do not start with: middling trees for classes, shallow for values."""
        middling = self._params(0.06, 6, 0.5, 0.7, 0.8, 1.0)
        shallow = self._params(0.1, 3, 1.0, 0.9, 0.7, 3.0)
        deep = self._params(0.05, 8, 0.1, 0.7, 0.5, 3.0)
        return (shallow, middling, deep) if task == "regression" else (middling, shallow, deep)

    def sample(self, space: Space, task: Task) -> Params:
        """Draw the step of the rounds, the shape of a tree, and its regularisation."""
        return self._params(
            step=space.suggest_float("step", 0.015, 0.3, log=True),
            depth=space.suggest_int("depth", 2, 11),
            min_child_weight=space.suggest_float("min_child_weight", 0.01, 50.0, log=True),
            rows=space.suggest_float("rows", 0.5, 1.0),
            columns=space.suggest_float("columns", 0.3, 1.0),
            l2=space.suggest_float("l2", 1e-2, 30.0, log=True),
        )

    def _params(
        self, step: float, depth: int, min_child_weight: float, rows: float, columns: float, l2: float
    ) -> Params:
        return {
            "rounds": self.most_rounds,
            "step": step,
            "depth": depth,
            "min_child_weight": min_child_weight,
            "rows": rows,
            "columns": columns,
            "l2": l2,
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

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit and keep the best rounds; the objective follows the metric."""
        from xgboost import XGBClassifier

        classifies = isinstance(estimator, XGBClassifier)
        rows, held = balanced(rows, conditions, classifies), conditions.held
        by = measure(rows, conditions, classifies)
        watch = Watch(estimator.learning_rate, conditions.seconds)
        several = classifies and len(set(rows.target.tolist())) > 2
        metric = _METRICS.get(by, "mlogloss" if several else "logloss")
        estimator.set_params(
            eval_metric=metric,
            callbacks=[_callback(watch, 1.0 if by in LARGER_IS_BETTER else -1.0)],
            monotone_constraints=None if (signs := monotone(conditions)) is None else tuple(signs),
            device=conditions.device,
            **({"objective": "reg:absoluteerror"} if learns_absolute(by, conditions) else {}),
        )
        estimator.fit(
            rows.values,
            rows.target,
            sample_weight=rows.weights,
            eval_set=None if held is None else [(held.values, held.target)],
            sample_weight_eval_set=None if held is None or held.weights is None else [held.weights],
            verbose=False,
        )
        booster = estimator.get_booster()
        kept = booster.num_boosted_rounds() if held is None else watch.best_round + 1
        estimator._Booster = booster[:kept]  # leaves the matrices behind that it was fitted on, too
        estimator.set_params(n_estimators=kept, callbacks=None, eval_metric=None)
        estimator.evals_result_ = {}
        return estimator

    def rounds_of(self, estimator: Any) -> int:
        """Return the rounds of the booster."""
        return int(estimator.get_booster().num_boosted_rounds())

    def for_serving(self, estimator: Any) -> Any:
        """Return the estimator on one thread of the CPU; the booster inside keeps, and saves, settings of its own."""
        estimator.get_booster().set_param({"nthread": 1, "device": "cpu"})
        estimator.set_params(device="cpu")
        return super().for_serving(estimator)


def _callback(watch: Watch, sign: float) -> Any:
    from xgboost.callback import TrainingCallback

    class Stop(TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if not evals_log:
                return watch.late
            (scores,) = evals_log["validation_0"].values()
            return watch.stops(epoch, sign * scores[-1])

    return Stop()
