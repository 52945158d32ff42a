"""From what a model puts out to scores: probabilities of every class, or a regression's values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

Link = Literal["none", "logit"]
"""What a classifier puts out: probabilities, or logits (before the sigmoid or the softmax)."""


class OutputError(FactoryError):
    """A model's output has another shape than its manifest asks for."""


def scores_of(output: Any, manifest: Manifest, link: Link = "none") -> Array:
    """Return ``output`` as `Scorer.score` gives it; float64.

    Args:
        output: a regression: (rows,) or (rows, 1). Two classes: the positive one alone, shaped likewise, or both.
            More classes: (rows, classes).
        manifest: says how many classes there are.
        link: what a classifier's output is.

    Raises:
        OutputError: it has another shape.
    """
    import numpy as np

    values = np.asarray(output, dtype=np.float64)
    classes = manifest.classes
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and classes is None:
        return values
    if values.ndim == 1 and classes is not None and len(classes) == 2:
        positive = 1 / (1 + np.exp(-values)) if link == "logit" else values
        return np.stack([1 - positive, positive], axis=1)
    if values.ndim == 2 and classes is not None and values.shape[1] == len(classes):
        if link == "none":
            return values
        grown = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))
    wanted = "one value a row" if classes is None else f"probabilities of {len(classes)} classes"
    raise OutputError(
        f"the model's output has shape {values.shape}, the manifest asks for {wanted}; correct task or classes"
    )


def score_of(output: Sequence[float], link: Link = "none") -> list[float]:
    """Return the probabilities of a classifier from the ``output`` of one row, in plain Python."""
    if len(output) == 1:
        value = output[0]
        positive = _sigmoid(value) if link == "logit" else value
        return [1 - positive, positive]
    if link == "none":
        return list(output)
    largest = max(output)
    grown = [math.exp(value - largest) for value in output]
    total = sum(grown)
    return [value / total for value in grown]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else (e := math.exp(value)) / (1 + e)
