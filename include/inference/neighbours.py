"""Nearest neighbours, fitted: means of the training rows around a row, which weigh less the farther they are.

Weights fall to 0 at a width that follows the distance of one more row than there are neighbours (Nadaraya 1964 and
Watson 1964, with the width of Loftsgaarden and Quesenberry 1965). So rows that are equally far weigh the same, however
many there are, and no answer hangs on which of them some sorting takes, or on the last digit of a distance.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

Array = np.ndarray[Any, np.dtype[Any]]
Kernel = Literal["epanechnikov", "biweight"]
"""How weights fall with u, the distance in widths: as 1 - u², or as (1 - u²)²."""
BEYOND = 1.05
"""Square of the width, in squared distances of the row after the last neighbour: it keeps a little weight."""
NARROWEST = 1e-6
"""Least square of the width, in mean squared lengths of the training rows: where many are the same, it is that."""
_AT_ONCE = 4 * 10**6
"""Distances that are held at the same time."""


class _Neighbours(BaseEstimator):  # type: ignore[misc]
    """Weighted means of remembered answers.

    Args:
        neighbours: rows that count, where no two are equally far.
        kernel: how their weights fall with the distance.
    """

    def __init__(self, neighbours: int = 12, kernel: Kernel = "epanechnikov") -> None:
        self.neighbours = neighbours
        self.kernel = kernel

    def _remember(self, rows: Array, answers: Array, weights: Array | None) -> None:
        self.n_features_in_ = rows.shape[1]
        self.rows_ = np.ascontiguousarray(rows, dtype=np.float32)
        counts = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        if not (counts > 0).all():
            self.rows_, answers, counts = self.rows_[counts > 0], answers[counts > 0], counts[counts > 0]
        self.answers_ = np.column_stack([answers * counts[:, None], counts]).astype(np.float32)
        known = self.rows_.astype(np.float64)
        self.least_ = NARROWEST * float((known**2).sum(axis=1).mean()) or NARROWEST

    @property
    def nearest_(self) -> int:
        """Which of the remembered rows the width goes by, counted from 1."""
        return min(self.neighbours + 1, len(self.rows_))

    def _means(self, rows: Array) -> Array:
        """Return the weighted means, shape (rows, answers)."""
        check_is_fitted(self, "rows_")
        rows, known = np.asarray(rows, dtype=np.float64), self.rows_.astype(np.float64)
        lengths, place = (known**2).sum(axis=1), self.nearest_ - 1
        sums = np.empty((len(rows), self.answers_.shape[1]))
        step = max(1, _AT_ONCE // len(known))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            weights = part @ (-2.0 * known.T)
            weights += (part**2).sum(axis=1)[:, None]
            weights += lengths
            np.maximum(weights, 0.0, out=weights)
            squares = BEYOND * np.partition(weights, place, axis=1)[:, place] + self.least_
            weights /= -squares[:, None]
            weights += 1.0
            np.maximum(weights, 0.0, out=weights)
            if self.kernel == "biweight":
                weights *= weights
            sums[start : start + step] = weights @ self.answers_
        means: Array = sums[:, :-1] / sums[:, -1:]
        return means


class NeighboursClassifier(ClassifierMixin, _Neighbours):  # type: ignore[misc]
    """Shares of the classes among the neighbours, with those among all rows mixed in.

    Args:
        neighbours: see above.
        kernel: see above.
        prior: neighbours that all rows together count for: no class that occurs is ever held for impossible.
    """

    def __init__(self, neighbours: int = 12, kernel: Kernel = "epanechnikov", prior: float = 1.0) -> None:
        super().__init__(neighbours, kernel)
        self.prior = prior

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:  # noqa: N803 - sklearn's name
        """Remember rows, shape (rows, columns), and codes 0 … n-1."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._remember(X, np.eye(len(self.classes_))[codes], sample_weight)
        totals = self.answers_.sum(axis=0, dtype=np.float64)
        share = self.prior / (self.neighbours + self.prior)
        self.prior_, self.kept_ = share * totals[:-1] / totals[-1], 1 - share
        return self

    def predict_proba(self, X: Array) -> Array:  # noqa: N803
        """Return probabilities, shape (rows, classes)."""
        probabilities: Array = self.kept_ * self._means(X) + self.prior_
        return probabilities

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return the likeliest code of each row."""
        codes: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return codes


class NeighboursRegressor(RegressorMixin, _Neighbours):  # type: ignore[misc]
    """The mean value of the neighbours."""

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:  # noqa: N803
        """Remember rows, shape (rows, columns), and values."""
        target = np.asarray(y, dtype=np.float64)
        self.mean_ = float(np.average(target, weights=sample_weight))
        self._remember(X, (target - self.mean_)[:, None], sample_weight)
        return self

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return one value a row."""
        values: Array = self._means(X)[:, 0] + self.mean_
        return values
