"""The parts of a feature plan: columns of one kind, what was learnt about them, and how they become numbers.

What there is to learn is small (a median, a table of levels), and is learnt and applied column by column by numpy, so
that a million rows need seconds and little more memory than their outputs. Tests hold it against scikit-learn's own
transformers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    import pandas as pd

    from include.inference.encoding import Part

    Array = np.ndarray[Any, Any]

View = Literal["trees", "scaled"]
"""How a plan shows rows to a family: as trees like them, or with every quantity on one scale."""


class Block(BaseEstimator, ABC):  # type: ignore[misc]
    """Columns of one kind and what was learnt about them.

    Args:
        columns: the columns of a table that it reads.
        scale: whether quantities are centred and scaled to unit variance; yes-or-no outputs keep their 0 and 1.
    """

    def __init__(self, columns: tuple[str, ...], scale: bool = False) -> None:
        self.columns = columns
        self.scale = scale

    @abstractmethod
    def fit(self, rows: pd.DataFrame, y: Array | None) -> Block:
        """Learn from training rows."""

    @abstractmethod
    def write(self, rows: pd.DataFrame, out: Array) -> None:
        """Write ``rows`` as numbers into ``out``, float32, shape (rows, outputs)."""

    def write_training(self, rows: pd.DataFrame, y: Array | None, out: Array) -> None:
        """Write the rows that it was fitted on, in a way that tells no row its own target."""
        self.write(rows, out)

    @abstractmethod
    def parts(self) -> list[Part]:
        """Return the parts of an encoding that give the same outputs."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the outputs' names."""


def spread(values: Array) -> tuple[Any, Any]:
    """Return mean and standard deviation of float64 ``values`` without gaps, along the last axis.

    The deviation of a constant counts as 1; of no values 0 and 1 are returned.
    """
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1]), np.ones(values.shape[:-1])
    mean, deviation = values.mean(axis=-1), values.std(axis=-1)
    return mean, np.where(deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean), 1.0, deviation)
