"""What a system's answers are worth: one definition of the metrics for all, on the same test rows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.automl.datasets import Dataset
from include.evaluation.metrics import metric
from include.specs import FactoryError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
REPLICATES = 200
"""Resamples of the test rows that a cell keeps its score on."""


def scores(
    dataset: Dataset, seed: int, target: pd.Series, outputs: Array, classes: Sequence[Any] | None
) -> tuple[float, list[float]]:
    """Return the score, and the score on each of `REPLICATES` resamples of the test rows.

    The resamples are the same for every system, so that the difference of two systems' numbers, one by one, is a
    paired bootstrap of their difference (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 8).

    Args:
        dataset: that the rows are of.
        seed: of its split.
        target: of the test rows, as the data set has it.
        outputs: probabilities, shape (rows, classes), or values, shape (rows,).
        classes: labels in the order of the probabilities; None for regression.

    Raises:
        FactoryError: the answers have another shape, or are not finite.
    """
    values, answers = np.asarray(target, dtype=float) if classes is None else None, outputs
    if classes is not None:
        values, answers = _aligned(target, outputs, classes)
        answers = answers[:, 1] if dataset.task == "binary" else answers
    if len(answers) != len(target) or not np.isfinite(answers).all():
        raise FactoryError(f"its answers are not {len(target)} finite ones")
    rng = np.random.default_rng([zlib.crc32(dataset.name.encode()), seed])
    rows = len(target)
    resamples = rng.multinomial(rows, np.full(rows, 1 / rows), size=REPLICATES).astype(float)
    chosen = metric(dataset.metric)
    whole, *drawn = chosen.values(values, answers, np.vstack([np.ones((1, rows)), resamples]))
    return float(whole), [float(f"{value:.6g}") for value in drawn]


def _aligned(target: pd.Series, outputs: Array, classes: Sequence[Any]) -> tuple[Array, Array]:
    """Return codes, and probabilities with one column for each label of either side."""
    labels = sorted({*target.tolist(), *classes}, key=str)
    place = {label: code for code, label in enumerate(labels)}
    wide = np.zeros((len(outputs), len(labels)))
    wide[:, [place[label] for label in classes]] = outputs
    return np.array([place[label] for label in target.tolist()]), wide
