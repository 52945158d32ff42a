"""A small neural net for tables, by numpy alone: several nets side by side that answer by their mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from include.inference.mlp_inputs import MLPInputs
from include.inference.mlp_network import Layers, Network, forward, softmax
from include.inference.mlp_training import Lesson, Loss, train

Array = np.ndarray[Any, np.dtype[Any]]
Held = tuple[Array, Array, Array | None]
"""Rows that a net does not learn from but stops by: values, target, and weights where rows weigh differently."""
_AT_ONCE = 2048
"""Rows that are answered at the same time."""
_SMALLEST = 1e-7
"""Probability below which a logarithm is not taken."""


class _TabularMLP(BaseEstimator):  # type: ignore[misc]
    """What both estimators share.

    Args:
        members: nets side by side.
        hidden: hidden layers.
        width: values of a hidden layer.
        quantiles: steps that a column of numbers is shown as, beside its value; 0: the value alone.
        dropout: share of hidden values that a batch does not see.
        step: largest step size, of a weight with one input.
        decay: of weights, in units of the step size.
        epochs: how often each row is seen, at most.
        n_jobs: threads that fitting uses.
        random_state: seed.

    Attributes:
        inputs_: what the nets see of a row.
        weights_, biases_: of each layer, shapes (members, inputs, outputs) and (members, 1, outputs).
        epochs_: how often each row was seen by what was kept.
    """

    def __init__(
        self,
        members: int = 4,
        hidden: int = 2,
        width: int = 64,
        quantiles: int = 8,
        dropout: float = 0.1,
        step: float = 0.03,
        decay: float = 0.02,
        epochs: int = 32,
        n_jobs: int = 1,
        random_state: int | None = None,
    ) -> None:
        self.members = members
        self.hidden = hidden
        self.width = width
        self.quantiles = quantiles
        self.dropout = dropout
        self.step = step
        self.decay = decay
        self.epochs = epochs
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _learn(
        self,
        rows: Array,
        target: Array,
        prior: Array,
        weights: Array | None,
        loss: Loss,
        seconds: float | None,
        judge: Callable[[Layers], float] | None,
    ) -> Self:
        """Fit inputs and nets to a ``target`` of shape (rows, outputs)."""
        from threadpoolctl import threadpool_limits

        started = time.monotonic()
        rng = np.random.default_rng(self.random_state)
        self.n_features_in_ = rows.shape[1]
        self.inputs_ = MLPInputs(rows, self.quantiles, rng)
        typical = float(np.sqrt(np.mean(np.square(self.inputs_(rows[:_AT_ONCE]))))) or 1.0
        sizes = [self.inputs_.width, *[self.width] * self.hidden, target.shape[1]]
        network = Network(sizes, self.members, prior, typical, rng)
        lesson = Lesson(
            rows=rows,
            target=target.astype(np.float32),
            weights=None if weights is None else (weights / np.mean(weights)).astype(np.float32),
            loss=loss,
            dropout=self.dropout,
            step=self.step,
            decay=self.decay,
            epochs=self.epochs,
            seconds=None if seconds is None else seconds - (time.monotonic() - started),
        )
        with threadpool_limits(limits=self.n_jobs, user_api="blas"):
            self.epochs_ = train(network, self.inputs_, lesson, rng, judge)
        self._keep(network.layers())
        return self

    def _keep(self, layers: Layers) -> None:
        self.weights_ = [weights.copy() for weights, _ in layers]
        self.biases_ = [biases.copy() for _, biases in layers]

    def _outputs(self, rows: Array, layers: Layers | None = None) -> Iterator[Array]:
        """Yield what the nets put out for some rows after the other, shape (members, rows, outputs)."""
        if layers is None:
            check_is_fitted(self, "weights_")
            layers = list(zip(self.weights_, self.biases_, strict=True))
        for start in range(0, max(1, len(rows)), _AT_ONCE):
            yield forward(self.inputs_(rows[start : start + _AT_ONCE]), layers)


class TabularMLPClassifier(ClassifierMixin, _TabularMLP):  # type: ignore[misc]
    """Classes by the mean of the members' probabilities.

    Args:
        stop_by: ``log`` loss on held rows, or the share of wrong answers (``error``).
    """

    def __init__(
        self,
        members: int = 4,
        hidden: int = 2,
        width: int = 64,
        quantiles: int = 8,
        dropout: float = 0.1,
        step: float = 0.03,
        decay: float = 0.02,
        epochs: int = 32,
        n_jobs: int = 1,
        random_state: int | None = None,
        stop_by: Literal["log", "error"] = "log",
    ) -> None:
        super().__init__(members, hidden, width, quantiles, dropout, step, decay, epochs, n_jobs, random_state)
        self.stop_by = stop_by

    def fit(
        self,
        X: Array,  # noqa: N803 - sklearn's name
        y: Array,
        sample_weight: Array | None = None,
        held: Held | None = None,
        seconds: float | None = None,
    ) -> Self:
        """Fit on rows, shape (rows, columns), and their classes.

        Args:
            X: numbers without gaps.
            y: one class a row.
            sample_weight: weight of each row.
            held: rows that tell when to stop.
            seconds: after this long it stops where it is.
        """
        self.classes_, codes = np.unique(y, return_inverse=True)
        shares = np.eye(len(self.classes_), dtype=np.float32)[codes]
        prior = np.log(np.average(shares, axis=0, weights=sample_weight) + _SMALLEST)
        judge = None if held is None else self._judge(*held)
        return self._learn(np.asarray(X, np.float32), shares, prior, sample_weight, "log", seconds, judge)

    def predict_proba(self, X: Array) -> Array:  # noqa: N803
        """Return probabilities, shape (rows, classes)."""
        return self._probabilities(np.asarray(X, np.float32))

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return the likeliest class of each row."""
        classes: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return classes

    def _probabilities(self, rows: Array, layers: Layers | None = None) -> Array:
        return np.concatenate([softmax(outputs).mean(axis=0) for outputs in self._outputs(rows, layers)])

    def _judge(self, rows: Array, target: Array, weights: Array | None) -> Callable[[Layers], float] | None:
        known = np.isin(target, self.classes_)
        if not known.any():
            return None
        rows, codes = np.asarray(rows, np.float32)[known], np.searchsorted(self.classes_, target[known])
        weights = None if weights is None else weights[known]

        def judge(layers: Layers) -> float:
            probabilities = self._probabilities(rows, layers)
            if self.stop_by == "error":
                return float(np.average(probabilities.argmax(axis=1) != codes, weights=weights))
            found = np.maximum(probabilities[np.arange(len(codes)), codes], _SMALLEST)
            return -float(np.average(np.log(found), weights=weights))

        return judge


class TabularMLPRegressor(RegressorMixin, _TabularMLP):  # type: ignore[misc]
    """Values by the mean of the members', never outside those of training.

    Args:
        loss: what is learnt and what held rows are judged by: ``squared`` or ``absolute`` errors.
    """

    def __init__(
        self,
        members: int = 4,
        hidden: int = 2,
        width: int = 64,
        quantiles: int = 8,
        dropout: float = 0.1,
        step: float = 0.03,
        decay: float = 0.02,
        epochs: int = 32,
        n_jobs: int = 1,
        random_state: int | None = None,
        loss: Literal["squared", "absolute"] = "squared",
    ) -> None:
        super().__init__(members, hidden, width, quantiles, dropout, step, decay, epochs, n_jobs, random_state)
        self.loss = loss

    def fit(
        self,
        X: Array,  # noqa: N803 - sklearn's name
        y: Array,
        sample_weight: Array | None = None,
        held: Held | None = None,
        seconds: float | None = None,
    ) -> Self:
        """Fit on rows, shape (rows, columns), and their values.

        Args:
            X: numbers without gaps.
            y: one value a row.
            sample_weight: weight of each row.
            held: rows that tell when to stop.
            seconds: after this long it stops where it is.
        """
        target = np.asarray(y, dtype=np.float64)
        self.mean_, self.deviation_ = float(target.mean()), float(target.std()) or 1.0
        self.lowest_, self.highest_ = float(target.min()), float(target.max())
        standard = ((target - self.mean_) / self.deviation_)[:, None]
        judge = None if held is None else self._judge(*held)
        rows = np.asarray(X, np.float32)
        return self._learn(rows, standard, np.zeros(1), sample_weight, self.loss, seconds, judge)

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return one value a row."""
        return self._values(np.asarray(X, np.float32))

    def _values(self, rows: Array, layers: Layers | None = None) -> Array:
        standard = np.concatenate([outputs.mean(axis=0)[:, 0] for outputs in self._outputs(rows, layers)])
        return np.clip(standard.astype(np.float64) * self.deviation_ + self.mean_, self.lowest_, self.highest_)

    def _judge(self, rows: Array, target: Array, weights: Array | None) -> Callable[[Layers], float]:
        rows = np.asarray(rows, np.float32)

        def judge(layers: Layers) -> float:
            errors = np.abs(self._values(rows, layers) - target)
            return float(np.average(errors if self.loss == "absolute" else np.square(errors), weights=weights))

        return judge
