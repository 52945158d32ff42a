"""Fitted models under a second one, which weighs their answers anew: probabilities by logarithms, values as they are.

Of classifiers it is a logarithmic opinion pool (Genest and Zidek 1986, "Combining probability distributions") whose
weights are at least 0 and need not sum to 1, so that it also undoes what members are too sure of, with one number a
class for what they lean to. For two classes that is a logistic regression on logits. Of regressors it is a stacked
regression (Breiman 1996, "Stacked regressions") with an intercept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from include.inference.ensemble import BlendClassifier, BlendRegressor, calibrated, softmax

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

LEAST = 1e-5
"""What a member gives any class in a pool, at least. A logarithm of less would let it veto a class alone, and in single
precision nothing is left of 1 - p there."""
_NOBODY = 1 - 1e-9
"""Share of the weights from which a class counts as known to no member."""


class StackRegressor(BlendRegressor):
    """A weighted sum of fitted regressors' values and a number.

    Args:
        members: fitted regressors.
        slices: for each member the columns that it takes, as (start, stop).
        weights: weight of each member, at least 0.
        n_features: columns of the matrix.
        intercept: in the unit of the values.
    """

    def __init__(
        self,
        members: Sequence[Any],
        slices: Sequence[tuple[int, int]],
        weights: Sequence[float],
        n_features: int,
        intercept: float,
    ) -> None:
        super().__init__(members, slices, weights, n_features)
        self.intercept = intercept

    def predict(self, X: Array) -> Array:  # noqa: N803 - sklearn's name
        """Return values, float64, shape (rows,)."""
        return super().predict(X) + self.intercept


class PoolClassifier(BlendClassifier):
    """A pool of fitted classifiers' probabilities p, calibrated: softmax of b_c + sum over m of w_m log p_mc.

    A member that has not seen a class says nothing of it: the weights of those that have count for more, in
    proportion. Otherwise each of them would take nearly all from a class that few know.

    Args:
        members: fitted classifiers of codes 0 … n-1.
        slices: for each member the columns that it takes, as (start, stop).
        weights: w, weight of each member, at least 0.
        n_features: columns of the matrix.
        biases: b, one number a class.
        n_classes: classes of the whole.
        present: as of `BlendClassifier`.
        temperature: of the pool's probabilities, as of `BlendClassifier`.
        knots: likewise.
        factors: as of `BlendClassifier`; probabilities are multiplied before logarithms are taken.
    """

    def __init__(
        self,
        members: Sequence[Any],
        slices: Sequence[tuple[int, int]],
        weights: Sequence[float],
        n_features: int,
        biases: Sequence[float],
        n_classes: int = 2,
        present: Sequence[Sequence[int] | None] = (),
        temperature: float = 1.0,
        knots: Sequence[tuple[float, float]] = (),
        factors: Sequence[Sequence[float] | None] = (),
    ) -> None:
        super().__init__(members, slices, weights, n_features, n_classes, present, temperature, knots, factors)
        self.biases = biases

    def predict_proba(self, X: Array) -> Array:  # noqa: N803
        """Return probabilities, float64, shape (rows, classes)."""
        shares = pooled(self.answers(X), self.weights, *self.lines())
        return calibrated(shares, self.temperature, self.knots)

    def lines(self) -> tuple[Array, Array]:
        """Return slope and intercept, each of shape (classes,), that make logits of weighted sums of logarithms."""
        total, silent = float(sum(self.weights)), np.zeros(self.n_classes)
        for known, weight in zip(self.present or [None] * len(self.weights), self.weights, strict=True):
            if known is not None:
                silent[np.setdiff1d(np.arange(self.n_classes), list(known))] += weight
        silent[silent > total * _NOBODY] = 0.0  # what nobody knows has the least probability of all
        slopes = total / (total - silent)
        return slopes, np.asarray(self.biases, dtype=float) - slopes * silent * np.log(LEAST)


def pooled(answers: Iterable[Array], weights: Sequence[float], slopes: Array, intercepts: Array) -> Array:
    """Return the pool of probabilities, shape (rows, classes).

    Args:
        answers: of each member, shape (rows, classes).
        weights: of each member.
        slopes: what the weighted sum of logarithms is multiplied by, one number a class.
        intercepts: what is added then.
    """
    total: Any = 0.0
    for answer, weight in zip(answers, weights, strict=True):
        total = total + weight * np.log(np.maximum(answer, LEAST))
    return softmax(total * slopes + intercepts)
