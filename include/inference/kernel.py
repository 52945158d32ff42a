"""Kernel machines, fitted: sums of radial basis functions around some of the training rows.

A support vector machine is one, and so is a linear model of landmarks (Williams and Seeger 2001, "Using the Nyström
method to speed up kernel machines"): what differs is how the weights are found. Both answer by one matrix product.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

Array = np.ndarray[Any, np.dtype[Any]]
EXACT_ROWS = 4000
"""Rows up to which a support vector machine is solved exactly: its time grows with their square."""
EXACT_CLASSES = 10
"""Classes up to which it is: there is a machine for each pair of them."""
MOST_STEPS = 200_000
"""Steps of a machine's solver, each as long as there are rows: a large ``strength`` would ask for ever more."""
_AT_ONCE = 2 * 10**6
"""Kernel values that are held at the same time."""
_SMALLEST = 1e-5
"""Share of the largest eigenvalue below which a direction among landmarks is left out, as rounding would decide it."""


class _Kernel(BaseEstimator):  # type: ignore[misc]
    """Weights over ``exp(-gamma_ |row - centre|²)``.

    Args:
        strength: how much errors weigh against smoothness (``C``).
        width: ``gamma_`` in units of 1 / (columns x variance of the training rows).
        landmarks: centres where the rows are too many for a support vector machine.
        random_state: seed of which rows become landmarks, and on which ones probabilities are fitted.
    """

    def __init__(
        self, strength: float = 1.0, width: float = 1.0, landmarks: int = 256, random_state: int | None = None
    ) -> None:
        self.strength = strength
        self.width = width
        self.landmarks = landmarks
        self.random_state = random_state

    def _sums(self, rows: Array) -> Array:
        """Return the weighted sums of the kernel over the centres, shape (rows, outputs)."""
        check_is_fitted(self, "centres_")
        rows = np.asarray(rows, dtype=np.float64)
        sums = np.empty((len(rows), self.weights_.shape[1]))
        step = max(1, _AT_ONCE // len(self.centres_))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            sums[part] = kernel(rows[part], self.centres_, self.gamma_) @ self.weights_ + self.bias_
        return sums

    def _start(self, rows: Array) -> None:
        self.n_features_in_ = rows.shape[1]
        self.gamma_ = float(self.width / (rows.shape[1] * (float(rows.var()) or 1.0)))

    def _settle(self, centres: Array, weights: Array, bias: Array) -> None:
        used = np.abs(weights).max(axis=1) > 0
        self.centres_ = np.ascontiguousarray(centres[used] if used.any() else centres[:1], dtype=np.float64)
        self.weights_ = np.ascontiguousarray(weights[used] if used.any() else weights[:1], dtype=np.float64)
        self.bias_ = np.asarray(bias, dtype=np.float64).reshape(-1)

    def _landmarks(self, rows: Array) -> tuple[Array, Array, Array]:
        """Return landmarks, the way from their kernel to coordinates, and the coordinates of ``rows``."""
        chosen = np.random.default_rng(self.random_state).permutation(len(rows))[: self.landmarks]
        centres = np.unique(rows[np.sort(chosen)], axis=0)
        values, vectors = np.linalg.eigh(kernel(centres, centres, self.gamma_))
        kept = values > _SMALLEST * values[-1]
        way = vectors[:, kept] / np.sqrt(values[kept])
        coordinates = np.empty((len(rows), way.shape[1]), dtype=np.float32)
        step = max(1, _AT_ONCE // len(centres))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            coordinates[part] = kernel(rows[part], centres, self.gamma_) @ way
        return centres, way, coordinates


class KernelClassifier(ClassifierMixin, _Kernel):  # type: ignore[misc]
    """A support vector machine of few rows, else a logistic regression on landmarks; both with probabilities.

    Probabilities of a machine are a logistic regression on decisions (Platt 1999), which for each third of the rows are
    those of a machine that was fitted to the others.
    """

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:  # noqa: N803 - sklearn's name
        """Fit on rows, shape (rows, columns), and codes 0 … n-1."""
        rows = np.asarray(X, dtype=np.float64)
        self.classes_ = np.unique(y)
        self._start(rows)
        if len(self.classes_) < 2:
            self._settle(rows[:1], np.zeros((1, 1)), np.zeros(1))
        elif len(rows) <= EXACT_ROWS and len(self.classes_) <= EXACT_CLASSES:
            self._fit_exactly(rows, np.asarray(y), sample_weight)
        else:
            centres, way, coordinates = self._landmarks(rows)
            linear = _logistic(10 * self.strength).fit(coordinates, y, sample_weight=sample_weight)
            self._settle(centres, way @ linear.coef_.T, linear.intercept_)
        return self

    def _fit_exactly(self, rows: Array, codes: Array, weights: Array | None) -> None:
        weights = np.ones(len(codes)) if weights is None else weights
        third = _thirds(codes, self.random_state)
        decisions = np.zeros((len(rows), len(self.classes_) * (len(self.classes_) - 1) // 2))
        for one in range(3):
            machine = self._machine(rows[third != one], codes[third != one], weights[third != one])
            asked = (third == one) | (third < 0)
            decisions[asked] = machine.decision_function(rows[asked]).reshape(asked.sum(), -1)
        link = _logistic(1.0).fit(decisions, codes, sample_weight=weights)
        machine = self._machine(rows, codes, weights)
        of_pairs, bias = _of_pairs(machine)
        self._settle(machine.support_vectors_, of_pairs @ link.coef_.T, bias @ link.coef_.T + link.intercept_)

    def _machine(self, rows: Array, codes: Array, weights: Array) -> Any:
        from sklearn.svm import SVC

        machine = SVC(C=self.strength, gamma=self.gamma_, decision_function_shape="ovo", max_iter=MOST_STEPS)
        return machine.fit(rows, codes, sample_weight=weights)

    def predict_proba(self, X: Array) -> Array:  # noqa: N803
        """Return probabilities, shape (rows, classes)."""
        sums = self._sums(X)
        if len(self.classes_) == 1:
            return np.ones((len(sums), 1))
        if sums.shape[1] == 1:
            sums = np.column_stack([np.zeros(len(sums)), sums[:, 0]])
        likely = np.exp(sums - sums.max(axis=1, keepdims=True))
        probabilities: Array = likely / likely.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return the likeliest code of each row."""
        codes: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return codes


class KernelRegressor(RegressorMixin, _Kernel):  # type: ignore[misc]
    """Support vector regression of few rows, else a ridge on landmarks; of the standardised target.

    Args:
        tube: error of a standardised target that costs nothing (``epsilon``); of few rows only.
    """

    def __init__(
        self,
        strength: float = 1.0,
        width: float = 1.0,
        landmarks: int = 256,
        random_state: int | None = None,
        tube: float = 0.1,
    ) -> None:
        super().__init__(strength, width, landmarks, random_state)
        self.tube = tube

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:  # noqa: N803
        """Fit on rows, shape (rows, columns), and values."""
        rows, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        self._start(rows)
        mean, deviation = target.mean(), target.std() or 1.0
        target = (target - mean) / deviation
        if len(rows) <= EXACT_ROWS:
            from sklearn.svm import SVR

            machine = SVR(C=self.strength, gamma=self.gamma_, epsilon=self.tube, max_iter=MOST_STEPS)
            machine.fit(rows, target, sample_weight=sample_weight)
            found = machine.support_vectors_, machine.dual_coef_.T, machine.intercept_
        else:
            from sklearn.linear_model import Ridge

            centres, way, coordinates = self._landmarks(rows)
            linear = Ridge(alpha=1 / self.strength).fit(coordinates.astype(np.float64), target, sample_weight)
            found = centres, way @ linear.coef_[:, None], np.atleast_1d(linear.intercept_)
        centres, weights, bias = found
        if not len(centres):  # every error lies within the tube
            centres, weights = rows[:1], np.zeros((1, 1))
        self._settle(centres, weights * deviation, bias * deviation + mean)
        return self

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return one value a row."""
        return self._sums(X)[:, 0]


def kernel(rows: Array, centres: Array, gamma: float) -> Array:
    """Return ``exp(-gamma |row - centre|²)``, shape (rows, centres)."""
    distances = rows @ (-2.0 * centres.T)
    distances += (rows**2).sum(axis=1)[:, None]
    distances += (centres**2).sum(axis=1)
    np.maximum(distances, 0.0, out=distances)
    distances *= -gamma
    return np.exp(distances, out=distances)


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=100)


def _of_pairs(machine: Any) -> tuple[Array, Array]:
    """Return the machines of all pairs of classes as weights over the support vectors, and their biases.

    libsvm keeps the coefficients of a support vector against each other class in a row of ``dual_coef_``, those of the
    class's own place left out; a decision is positive for the first class of a pair, for two classes for the second.
    """
    dual, counts = machine.dual_coef_, machine.n_support_
    ends = np.cumsum(counts)
    slices = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    pairs = [(one, two) for one in range(len(counts)) for two in range(one + 1, len(counts))]
    weights = np.zeros((dual.shape[1], len(pairs)))
    for place, (one, two) in enumerate(pairs):
        weights[slices[one], place] = dual[two - 1, slices[one]]
        weights[slices[two], place] = dual[one, slices[two]]
    return weights, np.asarray(machine.intercept_)


def _thirds(codes: Array, seed: int | None) -> Array:
    """Return to which third of its class each row belongs; -1 for rows of a class that has fewer than three."""
    rng = np.random.default_rng(seed)
    third = np.full(len(codes), -1)
    for code in np.unique(codes):
        places = rng.permutation(np.flatnonzero(codes == code))
        if len(places) >= 3:
            third[places] = np.arange(len(places)) % 3
    return third
