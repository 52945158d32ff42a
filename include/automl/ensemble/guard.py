"""Whether a second model over the members is worth it: judged against their weighted mean on folds it has not seen.

The rule is that of one standard error (Breiman, Friedman, Olshen and Stone 1984, "Classification and regression
trees"): of two models that are as good within it, the simpler one is taken, which is the mean. There the error is that
of the best model's own score; here both answer the same rows, so that it is that of their difference over the folds,
which share rows (`include.automl.paired`). No estimate of that error is unbiased (Bengio and Grandvalet 2004, "No
unbiased estimator of the variance of K-fold cross-validation"), and a few folds give it few degrees of freedom: the
rule makes a harmful stack rare, not impossible. What leans the other way is that the mean's weights were chosen on all
rows, those of the fold that judges too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from include.automl.bench import wide
from include.automl.ensemble.calibration import RANKS, Calibration, calibrate
from include.automl.ensemble.combination import Combination, Mean, Stack
from include.automl.ensemble.stack import fit_stack
from include.automl.folds import Array
from include.automl.paired import paired
from include.features.objective import Objective

FOLDS = 3
"""Folds that it takes to judge: fewer say nothing of the error."""
ROWS_EACH = 50
"""Rows that it takes to fit each number of a second model: a weight, or a bias."""
CELLS, ROWS = 20_000, 2000
"""Rows times classes, and rows at least, that are looked at; more tell hardly more of so few numbers, and cost time."""


@dataclass(frozen=True)
class Held:
    """What members answered for rows that they were not fitted on.

    Attributes:
        outputs: of each member, of the same rows, as metrics take them.
        mean: their weighted mean; of a member that is not in it the weight is 0.
        target: the rows' codes or values, shape (rows,).
        folds: the fold of each row; of repeated folds the first one that held it, its outputs being the mean of all.
        classes: number of classes, or None for a regression.
        counts: how much each row counts, shape (rows,); the same when None.
        ordered: whether the folds follow each other in time.
    """

    outputs: tuple[Array, ...]
    mean: Mean
    target: Array
    folds: Array
    classes: int | None
    counts: Array | None = None
    ordered: bool = False

    @property
    def numbers(self) -> int:
        """Numbers of a second model over these members."""
        return len(self.outputs) + (1 if self.classes is None else self.classes - 1)

    def of(self, rows: Array) -> Held:
        """Return what is known of some rows, which a mask or positions name."""
        counts = None if self.counts is None else self.counts[rows]
        outputs = tuple(one[rows] for one in self.outputs)
        return replace(self, outputs=outputs, target=self.target[rows], folds=self.folds[rows], counts=counts)

    def drawn(self, seed: int) -> Held:
        """Return as many rows as are looked at."""
        most = max(ROWS, CELLS // (self.classes or 1))
        if len(self.target) <= most:
            return self
        return self.of(np.sort(np.random.default_rng(seed).choice(len(self.target), most, replace=False)))

    def sides(self) -> Iterator[tuple[Held, Held]]:
        """Yield for each fold the rows to fit on and its own: all other rows, or of ordered folds those before it."""
        for fold in np.unique(self.folds):
            fit = self.folds < fold if self.ordered else self.folds != fold
            if fit.any():
                yield self.of(fit), self.of(self.folds == fold)

    def stacked(self) -> Stack:
        """Return the second model that is fitted on all of these rows."""
        return fit_stack(self.outputs, self.target, self.mean.weights, self.classes, self.counts)


@dataclass(frozen=True)
class Verdict:
    """Whether a second model was taken, and why.

    Attributes:
        members: trials that it was fitted over.
        stack: the second model, fitted on all rows; None where the mean stays.
        reason: why it could not be judged, or is none.
        folds: folds that it was judged on.
        score: its mean score over them, by the metric of the search.
        against: that of the weighted mean.
        gain: by how much it is better.
        error: one standard error of that.
    """

    members: int
    stack: Stack | None = None
    reason: str = ""
    folds: int = 0
    score: float = float("nan")
    against: float = float("nan")
    gain: float = float("nan")
    error: float = float("nan")

    def told(self, metric: str) -> str:
        """Return a sentence for people, with the figures."""
        if self.reason:
            return f"A second model over {self.members} trials was not taken: {self.reason}."
        size = f"{'better' if self.gain > 0 else 'worse'} by {abs(self.gain):.3g}" if self.gain else "no better"
        verdict = "was taken" if self.stack is not None else "was refused"
        more = "more" if self.gain > self.error else "not more"
        return (
            f"A second model over {self.members} trials {verdict}: on {self.folds} folds that it was not fitted on its "
            f"{metric} is {self.score:.5g}, that of the weighted mean {self.against:.5g}; {size}, {more} than one "
            f"standard error ({self.error:.2g})."
        )


def judge(held: Held, objective: Objective, seconds: float, seed: int = 0) -> Verdict:
    """Decide whether the members are stacked.

    Both, the stack and the mean, are calibrated on the rows that the stack is fitted on, and scored on the fold.

    Args:
        held: what the members answered.
        objective: what is optimised.
        seconds: after this long the mean stays.
        seed: of the draw of rows, where there are many.
    """
    from threadpoolctl import threadpool_limits

    held = held.drawn(seed)
    with threadpool_limits(limits=1):  # of products this small a second thread would only wait for the first
        return _judged(held, objective, time.monotonic() + seconds)


def _judged(held: Held, objective: Objective, deadline: float) -> Verdict:
    members, sides = len(held.outputs), list(held.sides())
    if len(sides) < FOLDS:
        after = " that come after others" if held.ordered else ""
        return Verdict(members, reason=f"it takes {FOLDS} folds to judge it, and there are {len(sides)}{after}")
    rows, needed = min(len(fit.target) for fit, _ in sides), ROWS_EACH * held.numbers
    if rows < needed:
        return Verdict(members, reason=f"it takes {needed} rows to fit it, and a fold leaves {rows} of those looked at")
    scores = []
    for fit, own in sides:
        if time.monotonic() > deadline:
            return Verdict(members, reason="there was no time left to judge it")
        scores.append([_score(one, fit, own, objective) for one in (fit.stacked(), held.mean)])
    return _verdict(held, np.array(scores), objective)


def _verdict(held: Held, scores: Array, objective: Objective) -> Verdict:
    """Return the verdict on scores, shape (folds, 2); where a fold's are not defined it does not count."""
    members = len(held.outputs)
    stacked, mean = scores[np.isfinite(scores).all(axis=1)].T
    if len(stacked) < FOLDS:
        return Verdict(members, reason=f"{objective.name} is not defined on {FOLDS} folds")
    gain, error = paired(stacked.tolist(), mean.tolist(), objective.greater_is_better, crossed=not held.ordered)
    found = Verdict(
        members,
        folds=len(stacked),
        score=float(stacked.mean()),
        against=float(mean.mean()),
        gain=gain,
        error=error or 0.0,
    )
    if gain <= found.error:
        return found
    stack = held.stacked()
    if not any(stack.weights):
        return Verdict(members, reason="no trial earns a weight in it")
    return replace(found, stack=stack)


def _score(combination: Combination, fit: Held, own: Held, objective: Objective) -> float:
    """Return the score of a fold after the calibration that the rows to fit on ask for."""
    calibration = Calibration()
    if fit.classes is not None:
        probabilities = wide(combination.apply(fit.outputs))
        calibration = calibrate(probabilities, fit.target, fit.folds, objective.name not in RANKS, fit.counts)
    return objective(own.target, calibration.on(combination.apply(own.outputs)), own.counts)
