"""Regularised linear models: logistic regression, ridge, lasso and what lies between."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from include.automl.families.base import Array, Conditions, Family, Params, Rows, Space
from include.automl.families.weights import balanced
from include.specs.training import Task

_FEW = 2 * 10**7
"""Values of a matrix up to which double precision is affordable: 160 MB."""
_NEWTON = 2e9
"""Multiplications of one Newton step up to which it is quicker than the many passes of other solvers."""
_CHUNK = {"lbfgs": 100, "saga": 20}
"""Passes after which an iterative solver is asked whether it has time left."""
_MOST = 1000


class Linear(Family):
    """Logistic regression for classes, ridge, lasso or elastic net for numbers.

    ``strength`` is the weight of the penalty against the sum of all rows' losses (of a standardised target), ``mix``
    the share of it that is absolute (L1) instead of squared (L2).
    """

    name = "linear"
    view = "scaled"

    def defaults(self, task: Task) -> Params:
        """Return an L2 penalty of scikit-learn's own strength."""
        return {"strength": 1.0, "mix": 0.0}

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return an L2 penalty, an L1 penalty that drops columns, and a strong L2 penalty."""
        return self.defaults(task), {"strength": 10.0, "mix": 1.0}, {"strength": 100.0, "mix": 0.0}

    def sample(self, space: Space, task: Task) -> Params:
        """Draw strength and kind of the penalty."""
        return {
            "strength": space.suggest_float("strength", 1e-3, 1e4, log=True),
            "mix": space.suggest_categorical("mix", (0.0, 0.5, 1.0)),
        }

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return a LogisticRegression, a Ridge or an ElasticNet."""
        from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

        strength, mix = params["strength"], params["mix"]
        if task != "regression":
            solver = "saga" if mix else "lbfgs"
            return LogisticRegression(
                C=1 / strength,
                l1_ratio=mix,
                solver=solver,
                max_iter=_MOST,
                tol=1e-3 if mix else 1e-4,
                random_state=seed,
            )
        if mix:
            return ElasticNet(alpha=strength, l1_ratio=mix, random_state=seed)
        return Ridge(alpha=strength, random_state=seed)

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit by the solver that suits the size; an iterative one stops after ``conditions.seconds``."""
        classifies = hasattr(estimator, "predict_proba")
        rows = balanced(rows, conditions, classifies)
        few = rows.values.size <= _FEW
        values = rows.values.astype(np.float64) if few else rows.values
        if classifies:
            return _in_passes(estimator, values, rows, conditions.seconds)
        return _standardised(estimator, values, rows, few)


def _in_passes(estimator: Any, values: Array, rows: Rows, seconds: float | None) -> Any:
    """Fit a logistic regression a few passes at a time, each from where the last one ended."""
    ends = None if seconds is None else time.monotonic() + seconds
    count, columns = values.shape
    classes = len(np.unique(rows.target))
    unknowns = columns * (1 if classes == 2 else classes)
    if estimator.solver == "lbfgs" and max(count, unknowns) * unknowns**2 < _NEWTON:
        estimator.set_params(solver="newton-cholesky")
    estimator.set_params(max_iter=_MOST if ends is None else _CHUNK.get(estimator.solver, _MOST), warm_start=True)
    for _ in range(_MOST // estimator.max_iter):
        estimator.fit(values, rows.target, sample_weight=rows.weights)
        if estimator.n_iter_.max() < estimator.max_iter or (ends is not None and time.monotonic() > ends):
            break
    return estimator.set_params(max_iter=_MOST, warm_start=False)


def _standardised(estimator: Any, values: Array, rows: Rows, few: bool) -> Any:
    """Fit a regression of the standardised target, and give its coefficients the target's own scale."""
    from sklearn.linear_model import ElasticNet

    target = np.asarray(rows.target, dtype=values.dtype)
    mean, deviation = float(target.mean()), float(target.std()) or 1.0
    if isinstance(estimator, ElasticNet):
        count, columns = values.shape
        # scikit-learn weighs this penalty against the mean loss of a row, not against the sum as Ridge does
        estimator.set_params(alpha=estimator.alpha / count, precompute=count > columns)
    else:
        estimator.set_params(solver="auto" if few else "lsqr")
    estimator.fit(values, (target - mean) / deviation, sample_weight=rows.weights)
    estimator.coef_ = estimator.coef_ * deviation
    estimator.intercept_ = estimator.intercept_ * deviation + mean
    return estimator
