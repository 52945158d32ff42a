"""What the two kinds of forests share: growth that keeps to a time, and trees that keep to a size."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from typing import Any

from include.automl.families.base import Conditions, Family, Params, Rows
from include.automl.families.weights import balanced
from include.specs.training import Task

MOST_LEAVES = 200_000
"""Leaves that all trees of a forest have together at the most: some 30 MB as saved."""


class Forest(Family):
    """Averaged trees."""

    @abstractmethod
    def kind(self, task: Task) -> Any:
        """Return scikit-learn's class."""

    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return the unfitted forest."""
        more = {} if task == "regression" else {"criterion": params["criterion"]}
        if "rows" in params:
            more["max_samples"] = params["rows"]
        return self.kind(task)(
            n_estimators=params["trees"],
            min_samples_leaf=params["min_leaf"],
            max_features=params["features"],
            n_jobs=threads,
            random_state=seed,
            **more,
        )

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Grow tree by tree until all are there or the time is over; leaves have as many rows as the size asks."""
        rows = balanced(rows, conditions, "Classifier" in type(estimator).__name__)
        started = time.monotonic()
        wanted, grown, chunk = estimator.n_estimators, 0, estimator.n_jobs or 1
        estimator.set_params(
            min_samples_leaf=max(estimator.min_samples_leaf, math.ceil(len(rows.values) * wanted / MOST_LEAVES / 1.5)),
            monotonic_cst=list(conditions.monotone) if any(conditions.monotone) else None,
            warm_start=True,
        )
        while grown < wanted:
            estimator.set_params(n_estimators=min(wanted, grown + chunk))
            estimator.fit(rows.values, rows.target, sample_weight=rows.weights)
            grown = estimator.n_estimators
            if conditions.seconds is None:
                chunk = wanted
                continue
            spent = time.monotonic() - started
            affordable = int((conditions.seconds - spent) / (spent / grown))
            if affordable < 1:
                break
            chunk = max(1, affordable // 2)
        return estimator.set_params(warm_start=False)
