"""Probabilities of models that learnt from weighted classes, made those of the classes as they occur.

By the weights alone they cannot be: a forest of pure leaves hardly minds them, a logistic regression follows them
entirely. So the factors of the classes are those by which unseen rows get, on average, the shares that training rows
have (Sinkhorn and Knopp 1967, "Concerning nonnegative matrices and doubly stochastic matrices").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from include.automl.folds import Array
from include.inference.ensemble import SMALLEST, reweighted

STEPS, NEAR = 200, 1e-6
_MOST = 1e6
"""Of a factor: a class that a model never answers would ask for more and more."""


def matched(probabilities: Array, shares: Array, weights: Array | None = None) -> Array:
    """Return the factor of each class, shape (classes,), by which mean probabilities become ``shares``.

    Args:
        probabilities: for rows that were not fitted on, shape (rows, classes).
        shares: of the classes among the rows that were, shape (classes,).
        weights: how much each row counts, shape (rows,).
    """
    factors = np.ones(len(shares))
    for _ in range(STEPS):
        mean = np.average(reweighted(probabilities, factors), axis=0, weights=weights)
        if np.abs(mean - shares).max() < NEAR:
            break
        factors = np.clip(factors * shares / np.maximum(mean, SMALLEST), 1 / _MOST, _MOST)
    return factors


def together(factors: Sequence[Array]) -> Array:
    """Return the geometric mean of several models' factors, shape (classes,); NaN, of a class unknown, counts not."""
    sizes = np.array([found / np.exp(np.nanmean(np.log(found))) for found in factors])
    mean: Array = np.exp(np.nanmean(np.log(sizes), axis=0))
    return mean
