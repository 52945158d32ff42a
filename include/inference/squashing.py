"""A curve that draws far values in, for training and in the same way for a single row.

It is made of plain arithmetic and a square root, which every machine rounds alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def squashed(values: Array) -> Array:
    """Return sign(x) (√(1 + |x|) - 1) of float64 ``values``: straight around 0, a square root far from it."""
    result: Array = np.copysign(np.sqrt(1.0 + np.abs(values)) - 1.0, values)
    return result


def squashed_one(value: float) -> float:
    """Return what `squashed` gives for one value."""
    return math.copysign(math.sqrt(1.0 + abs(value)) - 1.0, value)
