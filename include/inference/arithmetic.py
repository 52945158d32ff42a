"""Features made of two columns, for training and in the same way for a single row."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import numpy as np

from include.inference.dates import nanoseconds_of

Array = np.ndarray[Any, Any]

Operation = Literal["ratio", "difference", "product", "days"]
"""What is made of two columns: numbers, or for ``days`` (the days from the second to the first) times."""
SIGNS: dict[Operation, str] = {"ratio": "/", "difference": "-", "product": "×"}
PAIR_SIGN = " & "
SIDE = 58
"""Characters of each side of a pair of categories that are looked at."""
_DAY = 86_400 * 10**9
_LARGEST = float(np.finfo(np.float32).max)
Shift = tuple[float, float]
"""What is taken off the left and the right factor of a product, so that it does not mostly repeat its columns."""
NO_SHIFT: Shift = (0.0, 0.0)


def combined(operation: Operation, left: Array, right: Array, shift: Shift = NO_SHIFT) -> Array:
    """Return what is made of two columns; NaN where it is not finite, cut to what float32 holds.

    Args:
        operation: what to do.
        left: float64, or datetime64[ns] for ``days``; shape (rows,).
        right: as ``left``.
        shift: of a product.
    """
    if operation == "days":
        left, right = _days(left), _days(right)
    with np.errstate(all="ignore"):
        if operation == "product":
            left, right = left - shift[0], right - shift[1]
        found: Array = _MANY[operation](left, right)
    found[~np.isfinite(found)] = np.nan
    return np.clip(found, -_LARGEST, _LARGEST, out=found)


def combined_one(operation: Operation, left: Any, right: Any, shift: Shift = NO_SHIFT) -> float:
    """Return what `combined` gives for one row: floats, or aware times or None for ``days``."""
    if left is None or right is None:
        return math.nan
    if operation == "days":
        left, right = _days_of(left), _days_of(right)
    elif operation == "product":
        left, right = left - shift[0], right - shift[1]
    found = math.nan if operation == "ratio" and right == 0 else _ONE[operation](left, right)
    return min(max(found, -_LARGEST), _LARGEST) if math.isfinite(found) else math.nan


def _days(times: Array) -> Array:
    days = times.astype(np.int64) / _DAY
    days[np.isnat(times)] = np.nan
    return days


def _days_of(time: datetime) -> float:
    return float(nanoseconds_of(time)) / _DAY


_MANY: dict[Operation, Callable[[Array, Array], Array]] = {
    "ratio": np.divide,
    "difference": np.subtract,
    "product": np.multiply,
    "days": np.subtract,
}
_ONE: dict[Operation, Callable[[float, float], float]] = {
    "ratio": lambda left, right: left / right,
    "difference": lambda left, right: left - right,
    "product": lambda left, right: left * right,
    "days": lambda left, right: left - right,
}
