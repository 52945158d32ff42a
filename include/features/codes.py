"""Whole numbers that name something rather than count it: postal codes, product codes, weekdays, grades."""

from __future__ import annotations

from typing import Any

import numpy as np

from include.features.telling import binned, centred, straight, told_by_levels, told_by_line
from include.specs.training import Task

Array = np.ndarray[Any, Any]

MOST_ROWS = 20_000
"""Rows that are looked at."""
ROWS_OF_LEVEL = 20
"""Rows that a value must have on average: fewer say nothing of it."""
LEAST_ROWS = 3 * ROWS_OF_LEVEL
"""Rows below which no column is a code: there are three values at least."""
ENOUGH_RANGES = 32
"""Values up to which trees need no help: each may become a range of its own."""
LEAST_MORE, TIMES_MORE = 0.01, 1.3
"""What values must tell of the target as names, in shares of its variance, beyond what they tell as quantities."""


def is_code(values: Array, y: Array, task: Task, max_onehot: int, scale: bool) -> bool:
    """Tell whether numbers say more of the target as names than as quantities, on rows not looked at.

    As a quantity a linear model (``scale``) has a line of them; trees have ranges, which do for few values.

    Args:
        values: float64, gaps as NaN, shape (rows,).
        y: codes of classes, or values.
        task: what ``y`` is.
        max_onehot: values up to which each would have a column of its own.
        scale: whether a linear model is to see them.
    """
    if len(values) > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(len(values), MOST_ROWS, replace=False))
        values, y = values[chosen], y[chosen]
    known = np.isfinite(values)
    if known.sum() < 2 or (values[known] != np.round(values[known])).any():
        return False
    levels, codes = np.unique(values, return_inverse=True)  # gaps are one level, the last one
    if not 2 < len(levels) <= len(values) / ROWS_OF_LEVEL:
        return False
    if not scale and len(levels) <= ENOUGH_RANGES:
        return False
    targets, halves = centred(y, task), np.arange(len(y)) % 2
    as_names = told_by_levels(codes, targets, halves)
    if scale and len(levels) <= max_onehot:
        as_quantity = told_by_line(straight(values), targets, halves)
    else:
        as_quantity = told_by_levels(binned(values), targets, halves)
    return as_names > max(as_quantity + LEAST_MORE, as_quantity * TIMES_MORE)
