"""Whether a change of the features pays: the same quick model with and without it, on the same folds, row by row."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.encodings import targets_of
from include.features.objective import Objective
from include.features.plan import View, build_plan
from include.specs.training import Features, Task

if TYPE_CHECKING:
    import pandas as pd

    from include.features.generated import Generated
    from include.features.prepared import Prepared
    from include.store.packages import Field

Array = np.ndarray[Any, Any]
Fold = tuple[Array, Array]

MOST_ROWS = 20_000
"""Rows that are judged on: drawn at random, or of ordered rows the latest."""
FOLDS = 5
BEYOND_CHANCE = 2.0
"""Standard errors that a gain must lie above nothing."""
LEAST_GAIN = 0.002
"""Share of the loss that must be gained for a change to be worth its cost."""


@dataclass(frozen=True)
class Verdict:
    """What a quick model told of rows that it was not fitted on.

    Attributes:
        rows: positions of the rows among those judged on.
        outputs: values, or a probability a class, shape (rows, classes).
        losses: of each row: squared (or absolute) error, or logarithmic loss.
        gains: column → split gain of what it became, added up over folds; empty for linear models.
        seconds: what it took.
    """

    rows: Array
    outputs: Array
    losses: Array
    gains: dict[str, float]
    seconds: float


class Judge:
    """Judges features on training rows.

    Args:
        prepared: the prepared rows; held-out ones are not looked at.
        features: the spec's features.
        objective: what is optimised.
        seed: of every random choice.
        threads: most threads of a fit.
        view: ``trees`` (LightGBM judges) or ``scaled`` (a linear model does).
    """

    def __init__(
        self,
        prepared: Prepared,
        features: Features,
        objective: Objective,
        seed: int,
        threads: int = 1,
        view: View = "trees",
    ) -> None:
        rows = _some(prepared, seed)
        self.rows: pd.DataFrame = prepared.train.iloc[rows].reset_index(drop=True)
        self.target = prepared.train_target[rows]
        self.task: Task = prepared.task
        self.objective, self.features, self.view = objective, features, view
        self.seed, self.threads = seed, threads
        groups = prepared.train_groups[rows] if prepared.train_groups is not None else None
        self.folds = _folds(self.target, self.task, groups, prepared.ordered, seed)

    def verdict(
        self,
        fields: Sequence[Field],
        generated: Iterable[Generated] = (),
        shuffled: bool = False,
        deadline: float = np.inf,
    ) -> Verdict | None:
        """Return what the quick model tells with ``fields`` and ``generated`` features; None past the ``deadline``.

        Args:
            fields: columns to use.
            generated: features to add.
            shuffled: give the generated features the values of other rows: what they gain then is luck.
            deadline: on `time.monotonic`; reckoned after each fold.
        """
        began, made = time.monotonic(), list(generated)
        found: list[tuple[Array, Array]] = []
        gains: dict[str, float] = {}
        for number, (fit, held) in enumerate(self.folds, 1):
            matrices, sources = self._matrices(fit, held, fields, made, shuffled)
            outputs, told = self._outputs(matrices, self.target[fit])
            found.append((held, outputs))
            for source, gain in zip(sources, told, strict=False):
                gains[source] = gains.get(source, 0.0) + float(gain)
            passed = time.monotonic() - began
            if began + passed / number * len(self.folds) > deadline:
                return None
        rows, outputs = (np.concatenate([fold[side] for fold in found]) for side in (0, 1))
        return Verdict(rows, outputs, self._losses(rows, outputs), gains, time.monotonic() - began)

    def pays(self, before: Verdict, after: Verdict) -> float:
        """Return the share of the loss that ``after`` gains; 0 where that may be chance, or the metric is worse."""
        gains = before.losses - after.losses
        error = gains.std() / np.sqrt(len(gains))
        share = float(gains.mean() / before.losses.mean()) if before.losses.mean() else 0.0
        if gains.mean() <= BEYOND_CHANCE * error or share < LEAST_GAIN:
            return 0.0
        sign = 1 if self.objective.greater_is_better else -1
        return share if sign * (self.score(after) - self.score(before)) >= 0 else 0.0

    def no_worse(self, before: Verdict, after: Verdict) -> bool:
        """Tell whether ``after`` loses nothing beyond a standard error of the difference."""
        lost = after.losses - before.losses
        return bool(lost.mean() <= lost.std() / np.sqrt(len(lost)))

    def with_target(self, target: Array) -> Judge:
        """Return a judge of the same rows and folds with another target."""
        other = copy.copy(self)
        other.target = target
        return other

    def score(self, verdict: Verdict) -> float:
        """Return the objective of a verdict."""
        outputs = verdict.outputs[:, 1] if self.task == "binary" else verdict.outputs
        return self.objective(self.target[verdict.rows], outputs)

    def residuals(self, verdict: Verdict) -> Array:
        """Return what a verdict left unexplained, shape (rows, 1) or (rows, classes)."""
        if self.task == "multiclass":
            whole: Array = np.column_stack(targets_of(self.target, self.task))
            return np.asarray(whole[verdict.rows] - verdict.outputs)
        told = verdict.outputs[:, 1] if self.task == "binary" else verdict.outputs
        return np.asarray(self.target[verdict.rows] - told)[:, None]

    def _matrices(
        self, fit: Array, held: Array, fields: Sequence[Field], made: list[Generated], shuffled: bool
    ) -> tuple[tuple[Array, Array], list[str]]:
        """Return both sides of a fold as matrices, and the column that each output comes from."""
        plan = build_plan(fields, self.features, self.task, self.view)
        sides = [
            plan.fit_transform(self.rows.iloc[fit], self.target[fit]),
            plan.transform(self.rows.iloc[held]),
        ]
        if made:
            extra = build_plan((), self.features, self.task, self.view, made)
            more = [
                extra.fit_transform(self.rows.iloc[fit], self.target[fit]),
                extra.transform(self.rows.iloc[held]),
            ]
            if shuffled:
                rng = np.random.default_rng(self.seed)
                more = [rng.permutation(side) for side in more]
            sides = [np.hstack(pair) for pair in zip(sides, more, strict=True)]
        names = [field.name for field in fields]
        return (sides[0], sides[1]), [source for part in plan.encoding(names).parts for (source,) in part.sources()]

    def _outputs(self, matrices: tuple[Array, Array], target: Array) -> tuple[Array, Array]:
        """Return a fitted quick model's outputs for the second matrix, and its split gains."""
        model = _quick_model(self.task, self.view, len(target), self.seed, self.threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(matrices[0], target)
            if self.task == "regression":
                outputs = np.asarray(model.predict(matrices[1]), dtype=np.float64)
            else:
                outputs = np.zeros((len(matrices[1]), len(np.unique(self.target))))
                places = np.searchsorted(np.unique(self.target), model.classes_)
                outputs[:, places] = model.predict_proba(matrices[1])
        booster = getattr(model, "booster_", None)
        return outputs, np.empty(0) if booster is None else booster.feature_importance("gain")

    def _losses(self, rows: Array, outputs: Array) -> Array:
        target = self.target[rows]
        if self.task == "regression":
            error = np.abs(target - outputs)
            return np.asarray(error if self.objective.name in ("mae", "median_ae") else error**2)
        places = np.searchsorted(np.unique(self.target), target)
        return np.asarray(-np.log(np.clip(outputs[np.arange(len(rows)), places], 1e-6, 1.0)))


def _some(prepared: Prepared, seed: int) -> Array:
    rows = len(prepared.train)
    if rows <= MOST_ROWS:
        return np.arange(rows)
    if prepared.ordered:
        return np.arange(rows - MOST_ROWS, rows)
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))


def _folds(target: Array, task: Task, groups: Array | None, ordered: bool, seed: int) -> list[Fold]:
    """Return folds by time, by group, or stratified; only those whose rows hold every class."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    units = len(np.unique(groups)) if groups is not None else len(target)
    if min(units, len(target)) < 2 * FOLDS:
        return []
    splitter: Any
    if ordered:
        splitter = TimeSeriesSplit(FOLDS)
    elif groups is not None:
        splitter = GroupKFold(FOLDS)
    elif task == "regression":
        splitter = KFold(FOLDS, shuffle=True, random_state=seed)
    elif np.unique(target, return_counts=True)[1].min() < FOLDS:
        return []
    else:
        splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    folds = list(splitter.split(target, target, groups))
    whole = len(np.unique(target))
    return [(fit, held) for fit, held in folds if task == "regression" or len(np.unique(target[fit])) == whole]


def _quick_model(task: Task, view: View, rows: int, seed: int, threads: int) -> Any:
    if view == "scaled":
        from sklearn.linear_model import LogisticRegression, Ridge

        return Ridge(alpha=1.0) if task == "regression" else LogisticRegression(max_iter=200)
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if task == "regression" else LGBMClassifier
    return kind(
        n_estimators=100,
        learning_rate=0.08,
        num_leaves=15,
        min_child_samples=max(5, min(20, rows // 50)),
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.8,
        random_state=seed,
        n_jobs=threads,
        verbosity=-1,
    )
