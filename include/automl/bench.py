"""Fit and score one configuration on one fold; refit it on all training rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.costs import Cost
from include.automl.ensemble.prior import matched
from include.automl.families import Conditions, Params, Rows, find_family
from include.automl.families.weights import class_weights
from include.automl.folds import Array, Fold, answers, in_time, make_folds
from include.features.objective import Objective
from include.inference.ensemble import reweighted
from include.specs import FactoryError
from include.specs.training import Features, Packaging

if TYPE_CHECKING:
    from include.features.generated import Description
    from include.features.plan import View
    from include.features.prepared import Prepared
    from include.specs import ModelSpec

PlanKey = tuple["View", "tuple[Description, ...]", tuple[str, ...]]
"""View, generated features and columns left out: what a feature plan depends on beside the rows."""
CACHE_BYTES = 512 * 2**20
"""Transformed folds that a process keeps; the feature plan does not depend on the trial."""


@dataclass(frozen=True)
class Configuration:
    """A family, its hyperparameters, and what it makes of the table's columns.

    Attributes:
        family: its name.
        params: JSON-ready hyperparameters.
        generated: features made of two columns, as `include.features.generated.Description`.
        left_out: columns that it does without.
    """

    family: str
    params: Params
    generated: tuple[Description, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Configuration:
        """Return what ``dataclasses.asdict`` made JSON of."""
        generated = tuple(tuple(one) for one in document.get("generated", ()))
        return cls(document["family"], document["params"], generated, tuple(document.get("left_out", ())))

    @property
    def plan(self) -> PlanKey:
        """What its feature plan depends on beside the rows; configurations of the same one share it."""
        return find_family(self.family).view, self.generated, self.left_out


@dataclass(frozen=True)
class Options:
    """What holds for every fit of a search.

    Attributes:
        balanced: whether classes weigh the same in a fit, however often they occur.
        device: ``cpu`` or ``cuda``, for families that can use a GPU.
        costs: what is measured of each trial beside its score.
        packaging: how it would be made ready to serve, which costs depend on.
        seconds: that a trial should take at most, all its folds together; None where it may take any time.
    """

    balanced: bool = False
    device: str = "cpu"
    costs: tuple[Cost, ...] = ()
    packaging: Packaging = field(default_factory=Packaging)
    seconds: float | None = None

    @classmethod
    def of(cls, spec: ModelSpec, costs: Sequence[Cost] = (), seconds: float | None = None) -> Options:
        """Return what ``spec`` asks for, with its ``costs`` where they are to be measured."""
        return cls(spec.problem.imbalance == "balanced", spec.search.device, tuple(costs), spec.packaging, seconds)


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave.

    Attributes:
        score: of the held rows.
        outputs: for the held rows.
        estimator: fitted on the other rows.
        present: the codes of the classes that those rows held; None where they held all.
        factors: what undid the weights of classes in ``outputs``, shape (classes that were there,); None without.
        plan_seconds: seconds that the feature plan took, whenever that was.
        fit_seconds: seconds of the fit and of the answers.
    """

    score: float
    outputs: Array
    estimator: Any
    present: Array | None
    factors: Array | None
    plan_seconds: float
    fit_seconds: float


@dataclass
class Bench:
    """The training rows, cut into folds.

    Attributes:
        prepared: the rows.
        features: the spec's features.
        objective: what is optimised.
        count: folds of the cross-validation; as many as suit the rows when None.
        seed: of every random choice.
        options: of every fit.
        folds: that trials are scored on: all of them where ``count`` is given, else as many as time allows.
        answers: whose models may answer.
    """

    prepared: Prepared
    features: Features
    objective: Objective
    count: int | None
    seed: int
    options: Options = Options()
    _cache: dict[tuple[int, PlanKey], tuple[Array, Array, float]] = field(default_factory=dict)
    _plans: dict[tuple[int | None, PlanKey], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folds: list[Fold] = make_folds(self.prepared, self.count, self.seed)
        self.answers = answers(self.folds, self.prepared)
        if self.count is None and self.options.seconds is not None:
            self.folds = in_time(self.folds, self.prepared, self.options.seconds, self.seed)

    def score(self, configuration: Configuration, fold: int, threads: int, seconds: float | None = None) -> FoldResult:
        """Fit on one fold and score its held rows, which also tell a boosted model when to stop.

        Args:
            configuration: what to fit.
            fold: which fold.
            threads: most threads of the fit.
            seconds: that the fit may take, where the family can stop; None for any time.

        Raises:
            FactoryError: the outputs are not finite, or the score is not defined.
        """
        family = find_family(configuration.family)
        fit_rows, held_rows, plan_seconds = self._matrices(fold, configuration.plan)
        fit, held = self.folds[fold]
        started = time.monotonic()
        target, classes, weights = self.prepared.train_target, self.prepared.classes, self.prepared.train_weights
        present, codes = (None, target[fit]) if classes is None else _recoded(target[fit], len(classes))
        by_class = self._class_weights(codes, fit)
        estimator = family.build(configuration.params, self._task(present), self.seed + fold, threads)
        stop_by = None if present is not None else self._rows(held_rows, target[held], held, by_class)
        conditions = self._conditions(self.plan(fold, configuration.plan), stop_by, seconds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not converged shows in its score
            estimator = family.fit(estimator, self._rows(fit_rows, codes, fit, by_class), conditions)
            outputs = outputs_of(estimator, held_rows)
        taken = time.monotonic() - started
        factors = None
        if by_class is not None and np.isfinite(outputs).all():
            outputs, factors = self._as_classes_occur(outputs, codes, fit, held)
        if present is not None and classes is not None:
            outputs = _widened(outputs, present, len(classes))
        counts = None if weights is None else weights[held]
        score = self.objective(target[held], outputs, counts) if np.isfinite(outputs).all() else np.nan
        if not np.isfinite(score):
            raise FactoryError(f"{self.objective.name} of fold {fold + 1} is not a finite number")
        return FoldResult(score, outputs, estimator, present, factors, plan_seconds, taken)

    def refit(self, configuration: Configuration, threads: int, seconds: float | None = None) -> Any:
        """Return the configuration's estimator, fitted on all training rows as `plan` shows them."""
        family = find_family(configuration.family)
        plan = self._plan(configuration.plan)
        target = self.prepared.train_target
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = plan.fit_transform(self.prepared.train, target)
            self._plans[None, configuration.plan] = plan
            model = family.build(configuration.params, self.prepared.task, self.seed, threads)
            conditions = self._conditions(plan, None, seconds)
            everything = np.arange(len(target))
            by_class = self._class_weights(target, everything)
            return family.fit(model, self._rows(rows, target, everything, by_class), conditions)

    def _class_weights(self, codes: Array, rows: Array) -> Array | None:
        """Return the weight of each class that ``rows`` hold; None where classes weigh what they weigh."""
        if not self.options.balanced:
            return None
        return class_weights(codes, _mean_one(self.prepared.train_weights, rows))

    def _rows(self, values: Array, codes: Array, rows: Array, by_class: Array | None) -> Rows:
        """Return what a family learns from, or stops by: ``rows`` of the training rows with their weights."""
        weights = _mean_one(self.prepared.train_weights, rows)
        if by_class is not None:
            weights = by_class[codes] if weights is None else by_class[codes] * weights
        return Rows(values, codes, weights)

    def _conditions(self, plan: Any, held: Rows | None, seconds: float | None) -> Conditions:
        """Return the conditions of a fit on rows as the fitted ``plan`` shows them."""
        signs = plan.signs(self.features.signs) if self.features.monotone else ()
        return Conditions(held, seconds, self.objective.name, signs, self.options.device)

    def _as_classes_occur(self, outputs: Array, codes: Array, fit: Array, held: Array) -> tuple[Array, Array]:
        """Return outputs for held rows without what weights of classes did to them, and the factors that undid it."""
        fitted, asked = (_mean_one(self.prepared.train_weights, rows) for rows in (fit, held))
        shares = np.bincount(codes, fitted) / (len(codes) if fitted is None else fitted.sum())
        factors = matched(wide(outputs), shares, asked)
        found = reweighted(wide(outputs), factors)
        return (found[:, 1] if outputs.ndim == 1 else found), factors

    def plan(self, fold: int | None, key: PlanKey) -> Any:
        """Return the feature plan as it was fitted for a fold, or for all training rows, by `score` or `refit`."""
        return self._plans[fold, key]

    def _task(self, present: Array | None) -> Any:
        return "binary" if present is not None and len(present) == 2 else self.prepared.task

    def _plan(self, key: PlanKey) -> Any:
        from include.features.generated import Generated
        from include.features.plan import build_plan

        view, generated, left_out = key
        fields = [column for column in self.prepared.fields if column.name not in left_out]
        made = [Generated(*description) for description in generated]
        return build_plan(fields, self.features, self.prepared.task, view, made)

    def _matrices(self, fold: int, key: PlanKey) -> tuple[Array, Array, float]:
        """Return both sides of a fold as matrices, and the seconds that the plan took; kept while memory allows."""
        if (kept := self._cache.get((fold, key))) is not None:
            return kept
        fit, held = self.folds[fold]
        started = time.monotonic()
        plan, train = self._plan(key), self.prepared.train
        made = plan.fit_transform(train.iloc[fit], self.prepared.train_target[fit]), plan.transform(train.iloc[held])
        matrices = (*made, time.monotonic() - started)
        self._plans[fold, key] = plan
        held_bytes = sum(a.nbytes + b.nbytes for a, b, _ in self._cache.values())
        if held_bytes + sum(side.nbytes for side in made) <= CACHE_BYTES:
            self._cache[fold, key] = matrices
        return matrices


def outputs_of(estimator: Any, rows: Any) -> Array:
    """Return what metrics take: probability of the positive class, (rows, classes), or values of a regression."""
    if not hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict(rows), dtype=float)
    probabilities = np.asarray(estimator.predict_proba(rows), dtype=float)
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities


def wide(outputs: Array) -> Array:
    """Return probabilities as (rows, classes), those of the positive class alone among them."""
    return np.column_stack([1 - outputs, outputs]) if outputs.ndim == 1 else outputs


def _mean_one(weights: Array | None, rows: Array) -> Array | None:
    """Return the weights of ``rows`` with a mean of 1: penalties and least sizes of leaves are in rows."""
    return None if weights is None else weights[rows] / weights[rows].mean()


def _recoded(codes: Array, classes: int) -> tuple[Array | None, Array]:
    """Return the classes that occur and codes 0 … n-1 into them: a fold may lack the rows of a rare class.

    None, and the codes as they are, where all occur.
    """
    present, recoded = np.unique(codes, return_inverse=True)
    return (None, codes) if len(present) == classes else (present, recoded)


def _widened(outputs: Array, present: Array, classes: int) -> Array:
    """Return probabilities over all classes from those over the classes that a fold held."""
    known = wide(outputs)
    widened = np.zeros((len(known), classes))
    widened[:, present] = known
    return widened
