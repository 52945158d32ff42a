"""What a search optimises, and what features are judged by."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Objective(Protocol):
    """A score of predictions; the metrics of `include.evaluation.metrics` are objectives."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def greater_is_better(self) -> bool:
        """Whether a larger score is a better one."""

    def __call__(self, target: Array, outputs: Array, weights: Array | None = None) -> float:
        """Return the score of ``outputs``: probabilities of the positive class, (rows, classes), or values.

        ``weights`` says how much each row counts, shape (rows,); the same when None.
        """
