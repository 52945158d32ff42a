"""By how much one model is better than another on the same folds, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def paired(
    one: Sequence[float], other: Sequence[float], greater_is_better: bool, crossed: bool = True
) -> tuple[float, float | None]:
    """Return by how much ``one`` is better in the mean, and the standard error of that; None with a single fold.

    The error is that of the corrected resampled t-test (Nadeau and Bengio 2003, "Inference for the Generalization
    Error", Machine Learning 52): folds share training rows, so that the variance of their mean is that of K draws and
    n_held / n_fit more.

    Args:
        one: a model's score of each fold.
        other: another's, of the same folds.
        greater_is_better: of the metric.
        crossed: each row is held once, so that n_held / n_fit is 1 / (K - 1); otherwise the folds follow each other in
            time and a half is taken.
    """
    differences = (1.0 if greater_is_better else -1.0) * (np.asarray(one) - np.asarray(other))
    folds, mean = len(differences), float(differences.mean())
    if folds < 2:
        return mean, None
    shared = 1 / (folds - 1) if crossed else 0.5
    return mean, float(np.sqrt((1 / folds + shared) * differences.var(ddof=1)))
