"""Fits the second model of a stack on out-of-fold predictions.

Its weights are at least 0, as of stacked regressions (Breiman 1996, "Stacked regressions": without that they follow
noise), and are drawn towards those of the weighted mean: a ridge whose centre is the mean, so that few rows change
little. In the terms of Bayes that is a normal prior around the mean's weights and around biases of 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from include.automl.bench import wide
from include.automl.ensemble.combination import Stack
from include.automl.folds import Array
from include.inference.stack import LEAST

RIDGE = 10.0
"""Strength of the ridge: the prior's precision, 1 / variance, of a weight and of a bias."""
LIGHT = 1 / 40
"""Least share of the weights that a member is kept for, as of the weighted mean: less costs time and tells nothing."""
_STEPS = 300


def fit_stack(
    outputs: Sequence[Array],
    target: Array,
    towards: Sequence[float],
    classes: int | None,
    counts: Array | None = None,
    ridge: float = RIDGE,
) -> Stack:
    """Return the second model over members; those that it hardly uses get no weight, and the others are fitted again.

    Args:
        outputs: out-of-fold outputs of each member, of the same rows, as metrics take them.
        target: the rows' codes or values, shape (rows,).
        towards: weight of each member in the weighted mean; 0 for one that is not in it.
        classes: number of classes, or None for a regression.
        counts: how much each row counts, shape (rows,); the same when None.
        ridge: how strongly weights are drawn ``towards`` what the mean has.
    """
    weights = np.ones(len(target)) if counts is None else np.asarray(counts / np.mean(counts), dtype=float)
    centre = np.asarray(towards, dtype=float)
    everyone = np.arange(len(outputs))
    found, biases = _fitted(outputs, target, centre, classes, weights, ridge)
    used = everyone[found >= LIGHT * found.sum()]
    if len(used) < len(everyone):
        kept = [outputs[place] for place in used]
        found = np.zeros(len(everyone))
        found[used], biases = _fitted(kept, target, centre[used], classes, weights, ridge)
    return Stack(tuple(found.tolist()), tuple(biases.tolist()))


def _fitted(
    outputs: Sequence[Array], target: Array, towards: Array, classes: int | None, counts: Array, ridge: float
) -> tuple[Array, Array]:
    """Return weights and biases."""
    if classes is None:
        return _sum(np.stack(outputs), target, towards, counts, ridge)
    logarithms = np.log(np.maximum(np.stack([wide(one) for one in outputs]), LEAST))
    return _pool(logarithms, target, towards, counts, ridge)


def _pool(logarithms: Array, target: Array, towards: Array, counts: Array, ridge: float) -> tuple[Array, Array]:
    """Return what makes the weighted log loss plus ridge least; ``logarithms`` of shape (members, rows, classes)."""
    from scipy.optimize import minimize

    members, rows, classes = logarithms.shape
    flat, places, hits = logarithms.reshape(members, -1), np.arange(rows), np.eye(classes)[target]
    centre = np.concatenate([towards, np.zeros(classes - 1)])

    def loss(found: Array) -> tuple[float, Array]:
        logits = (found[:members] @ flat).reshape(rows, classes)
        logits[:, 1:] += found[members:]
        logits -= logits.max(axis=1, keepdims=True)
        raised = np.exp(logits)
        totals = raised.sum(axis=1)
        away = found - centre
        value = counts @ (np.log(totals) - logits[places, target]) + ridge / 2 * away @ away
        slopes = counts[:, None] * (raised / totals[:, None] - hits)
        gradient = np.concatenate([flat @ slopes.ravel(), slopes.sum(axis=0)[1:]]) + ridge * away
        return float(value / rows), gradient / rows

    bounds = [(0.0, None)] * members + [(None, None)] * (classes - 1)
    options = {"maxiter": _STEPS, "ftol": 1e-12, "gtol": 1e-7}
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return found[:members], np.concatenate([[0.0], found[members:]])


def _sum(values: Array, target: Array, towards: Array, counts: Array, ridge: float) -> tuple[Array, Array]:
    """Return what makes the weighted squared error plus ridge least; ``values`` of shape (members, rows).

    The ridge is in units of what the mean leaves unexplained, as the prior of a normal model has it. The intercept is
    free: rows and values are centred for it.
    """
    from scipy.optimize import lsq_linear

    centres, middle = values @ counts / counts.sum(), float(target @ counts / counts.sum())
    roots = np.sqrt(counts)
    sides = ((values - centres[:, None]) * roots).T
    wanted = (target - middle) * roots
    pull = np.sqrt(ridge * np.mean((wanted - sides @ towards) ** 2))
    stacked = np.vstack([sides, pull * np.eye(len(values))])
    corner = np.asarray(np.linalg.qr(np.column_stack([stacked, np.concatenate([wanted, pull * towards])]), mode="r"))
    corner = corner / (np.abs(corner).max() or 1.0)  # the solver ends by absolute bounds
    found = lsq_linear(corner[:-1, :-1], corner[:-1, -1], bounds=(0.0, np.inf), method="bvls").x
    return found, np.array([middle - centres @ found])
