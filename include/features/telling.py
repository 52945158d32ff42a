"""How much a column, or what is made of columns, tells of something: a first look that costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.blocks import View
from include.features.categories import levels_of
from include.features.encodings import targets_of
from include.inference.squashing import squashed
from include.specs.training import Task

if TYPE_CHECKING:
    from include.store.packages import Field

Array = np.ndarray[Any, Any]

_BINS = 12
_SHRINKAGE = 20.0
"""Rows of the mean that a level's mean is drawn to: a level of few rows says little."""
_DRAWS = 3
"""Other orders of the rows that each candidate is held against."""


class Told:
    """How much of the squares of some targets, shape (rows, targets), a feature explains.

    Attributes:
        luck: the most that a feature explained whose rows were put in another order.
    """

    def __init__(self, targets: Array, view: View, rng: np.random.Generator) -> None:
        self.luck = 0.0
        self._targets, self._share = targets, told_by_line if view == "scaled" else told_by_levels
        self._halves = rng.integers(0, 2, len(targets))
        self._orders = [rng.permutation(len(targets)) for _ in range(_DRAWS)]

    def share(self, values: Array) -> float:
        """Return the share that ``values`` explain."""
        return self._share(values, self._targets, self._halves)

    def gain(self, values: Array) -> float:
        """Return the same, and remember what other orders of the rows explain."""
        shuffled = (self._share(values[order], self._targets, self._halves) for order in self._orders)
        self.luck = max(self.luck, *shuffled)
        return self.share(values)


def told_by_levels(codes: Array, targets: Array, halves: Array) -> float:
    """Return the share of squares that means by code explain, learnt on the other half of the rows."""
    total = float((targets**2).sum())
    if not total:
        return 0.0
    left, levels = total, int(codes.max()) + 1
    for half in (0, 1):
        fit, held = halves == half, halves != half
        counts = np.bincount(codes[fit], minlength=levels) + _SHRINKAGE
        for target in targets.T:
            means = np.bincount(codes[fit], weights=target[fit], minlength=levels) / counts
            told = means[codes[held]]
            left -= float((told * (2 * target[held] - told)).sum())
    return 1 - left / total


def told_by_line(values: Array, targets: Array, halves: Array) -> float:
    """Return the share of squares that a straight line explains."""
    total = float((targets**2).sum())
    length = float((values**2).sum())
    return float(((values @ targets) ** 2).sum()) / length / total if total and length else 0.0


def centred(target: Array, task: Task) -> Array:
    """Return the targets around their mean, shape (rows, 1) or (rows, classes)."""
    targets = np.column_stack(targets_of(target, task))
    return np.asarray(targets - targets.mean(axis=0))


def values_of(rows: Any, field: Field, view: View) -> Array:
    """Return a column's bins or levels for trees, its numbers around 0 for linear models."""
    if field.type == "string":
        return levels_of(rows[field.name].to_numpy())[0] if view == "trees" else np.zeros(len(rows))
    if field.type == "datetime":
        times = rows[field.name].to_numpy("datetime64[ns]")
        values = np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))
    else:
        values = rows[field.name].to_numpy(np.float64)
    return binned(values) if view == "trees" else straight(values)


def straight(values: Array) -> Array:
    """Return numbers as a linear model sees them: around their mean, far ones drawn in, gaps in the middle."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values))
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    drawn = squashed((np.where(np.isfinite(values), values, middle) - middle) / ((high - low) or 1.0))
    return np.asarray(drawn - drawn.mean())


def binned(values: Array) -> Array:
    """Return the quantile bin of each value; gaps have a bin of their own."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.empty(0)
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), len(edges) + 1)
