"""A curve that draws far values in, for training and in the same way for a single row.

It is made of plain arithmetic and a square root, which every machine rounds alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LIMIT = 5.0
"""What no value gets beyond."""
_FAR = 1e100
"""Beyond this a square would not be finite."""


def squashed(values: Array) -> Array:
    """Return x / √(1 + (x / 5)²) of float64 ``values``: nearly x around 0, never beyond `LIMIT`.

    Smooth clipping as in RealMLP (Holzmüller, Grinsztajn, Steinwart 2024, "Better by default").
    """
    near = np.clip(values, -_FAR, _FAR)
    share = near / LIMIT
    result: Array = near / np.sqrt(1.0 + share * share)
    return result


def squashed_one(value: float) -> float:
    """Return what `squashed` gives for one value."""
    near = min(max(value, -_FAR), _FAR)
    share = near / LIMIT
    return near / math.sqrt(1.0 + share * share)
