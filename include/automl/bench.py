"""Fit and score one configuration on one fold; refit it on all training rows."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from include.automl.families import Conditions, Params, Rows, find_family
from include.automl.folds import Array, Fold, make_folds
from include.specs import FactoryError
from include.specs.training import Features

if TYPE_CHECKING:
    from include.features.plan import View
    from include.features.prepared import Prepared

CACHE_BYTES = 512 * 2**20
"""Transformed folds that a process keeps; the feature plan does not depend on the trial."""


class Objective(Protocol):
    """What the search optimises; the metrics of `include.evaluation.metrics` are objectives."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def greater_is_better(self) -> bool:
        """Whether a larger score is a better one."""

    def __call__(self, target: Array, outputs: Array) -> float:
        """Return the score of ``outputs``, shaped as `outputs_of` gives them."""


@dataclass(frozen=True)
class Configuration:
    """A family and its hyperparameters."""

    family: str
    params: Params


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave: the score, the outputs for its held rows, and the seconds of plan and fit."""

    score: float
    outputs: Array
    plan_seconds: float
    fit_seconds: float


@dataclass
class Bench:
    """The training rows, cut into folds."""

    prepared: Prepared
    features: Features
    objective: Objective
    count: int
    seed: int
    _cache: dict[tuple[int, View], tuple[Array, Array, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folds: list[Fold] = make_folds(self.prepared, self.count, self.seed)

    def score(self, configuration: Configuration, fold: int, threads: int) -> FoldResult:
        """Fit on one fold and score its held rows.

        Raises:
            FactoryError: the outputs are not finite, or the score is not defined.
        """
        family = find_family(configuration.family)
        fit_rows, held_rows, plan_seconds = self._matrices(fold, family.view)
        fit, held = self.folds[fold]
        started = time.monotonic()
        target = self.prepared.train_target
        present, codes = (None, target[fit]) if self.prepared.classes is None else _recoded(target[fit])
        estimator = family.build(configuration.params, self._task(present), self.seed, threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not converged shows in its score
            family.fit(estimator, Rows(fit_rows, codes), Conditions(metric=self.objective.name))
            outputs = outputs_of(estimator, held_rows)
        seconds = time.monotonic() - started
        if present is not None and len(present) < len(self.prepared.classes or ()):
            outputs = _widened(outputs, present, len(self.prepared.classes or ()))
        score = self.objective(target[held], outputs) if np.isfinite(outputs).all() else np.nan
        if not np.isfinite(score):
            raise FactoryError(f"{self.objective.name} of fold {fold + 1} is not a finite number")
        return FoldResult(score, outputs, plan_seconds, seconds)

    def refit(self, configuration: Configuration, threads: int) -> Any:
        """Return an sklearn Pipeline of feature plan and model, fitted on all training rows and ready to serve."""
        from sklearn.pipeline import Pipeline

        family = find_family(configuration.family)
        model = family.build(configuration.params, self.prepared.task, self.seed, threads)
        pipeline = Pipeline([("features", self._plan(family.view)), ("model", model)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline.fit(self.prepared.train, self.prepared.train_target)
        family.for_serving(pipeline.named_steps["model"])
        return pipeline

    def _task(self, present: Array | None) -> Any:
        return "binary" if present is not None and len(present) == 2 else self.prepared.task

    def _plan(self, view: View) -> Any:
        from include.features.plan import build_plan

        return build_plan(self.prepared.fields, self.features, self.prepared.task, view)

    def _matrices(self, fold: int, view: View) -> tuple[Array, Array, float]:
        """Return both sides of a fold as matrices, and the seconds that the plan took; kept while memory allows."""
        if (kept := self._cache.get((fold, view))) is not None:
            return kept
        fit, held = self.folds[fold]
        started = time.monotonic()
        plan, train = self._plan(view), self.prepared.train
        made = plan.fit_transform(train.iloc[fit], self.prepared.train_target[fit]), plan.transform(train.iloc[held])
        matrices = (*made, time.monotonic() - started)
        held_bytes = sum(a.nbytes + b.nbytes for a, b, _ in self._cache.values())
        if held_bytes + sum(side.nbytes for side in made) <= CACHE_BYTES:
            self._cache[fold, view] = matrices
        return matrices


def outputs_of(estimator: Any, rows: Any) -> Array:
    """Return what metrics take: probability of the positive class, (rows, classes), or values of a regression."""
    if not hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict(rows), dtype=float)
    probabilities = np.asarray(estimator.predict_proba(rows), dtype=float)
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def _recoded(codes: Array) -> tuple[Array, Array]:
    """Return the classes that occur and codes 0 … n-1 into them: a fold may lack the rows of a rare class."""
    present, recoded = np.unique(codes, return_inverse=True)
    return present, recoded


def _widened(outputs: Array, present: Array, classes: int) -> Array:
    """Return probabilities over all classes from those over the classes that a fold held."""
    known = np.column_stack([1 - outputs, outputs]) if outputs.ndim == 1 else outputs
    wide = np.zeros((len(known), classes))
    wide[:, present] = known
    return wide
