"""Several fitted models that answer as one: their feature plans side by side, their answers weighted and calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin

from include.inference.encoding import Encodable, Encoding, Part

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

SMALLEST = 1e-12
"""Probability below which a logarithm is not taken."""


class Plans(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fitted feature plans whose outputs lie side by side; each member of an ensemble takes its own slice of them.

    Args:
        plans: fitted transformers that can be written down (`include.inference.encoding.Encodable`).
    """

    def __init__(self, plans: Sequence[Encodable]) -> None:
        self.plans = plans

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> Plans:  # noqa: N803 - sklearn's name
        """Do nothing: the plans are fitted."""
        return self

    def transform(self, X: pd.DataFrame) -> Array:  # noqa: N803
        """Return the outputs of every plan; float32, shape (rows, outputs of all plans)."""
        return np.hstack([plan.transform(X) for plan in self.plans])  # type: ignore[attr-defined]

    def encoding(self, inputs: Sequence[str]) -> Encoding:
        """Return what `transform` does as a document: the parts of every plan, one after the other."""
        parts: list[Part] = [part for plan in self.plans for part in plan.encoding(inputs).parts]
        return Encoding(inputs=tuple(inputs), parts=tuple(parts))

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the outputs; several plans may call theirs the same."""
        return np.concatenate([plan.get_feature_names_out() for plan in self.plans])  # type: ignore[attr-defined]

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _Blend(BaseEstimator):  # type: ignore[misc]
    def __init__(
        self, members: Sequence[Any], slices: Sequence[tuple[int, int]], weights: Sequence[float], n_features: int
    ) -> None:
        self.members = members
        self.slices = slices
        self.weights = weights
        self.n_features = n_features

    def fit(self, X: Array, y: Array | None = None) -> Any:  # noqa: N803 - sklearn's name
        """Do nothing: the members are fitted."""
        return self

    @property
    def n_features_in_(self) -> int:
        """Columns that all members take together."""
        return self.n_features

    def __sklearn_is_fitted__(self) -> bool:
        return True


class BlendRegressor(RegressorMixin, _Blend):  # type: ignore[misc]
    """The weighted mean of fitted regressors, each of which sees its own slice of the columns.

    Args:
        members: fitted regressors.
        slices: for each member the columns that it takes, as (start, stop).
        weights: weight of each member; they sum to 1.
        n_features: columns of the matrix.
    """

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return values, float64, shape (rows,)."""
        total = np.zeros(len(X))
        for member, (start, stop), weight in zip(self.members, self.slices, self.weights, strict=True):
            total += weight * np.asarray(member.predict(X[:, start:stop]), dtype=float)
        return total


class BlendClassifier(ClassifierMixin, _Blend):  # type: ignore[misc]
    """The weighted mean of fitted classifiers' probabilities, calibrated.

    Args:
        members: fitted classifiers of codes 0 … n-1.
        slices: for each member the columns that it takes, as (start, stop).
        weights: weight of each member; they sum to 1.
        n_features: columns of the matrix.
        n_classes: classes of the whole.
        present: for each member the codes of the whole that its own codes stand for; None where it knows them all.
        temperature: probabilities become p^(1/T), made to sum to 1 (Guo et al. 2017, "On calibration of modern neural
            networks"); 1 leaves them.
        factors: for each member what its probabilities are multiplied by, one number a class that it knows, before they
            are made to sum to 1 again: undoes what weights of classes in its fit did to them (Elkan 2001, "The
            foundations of cost-sensitive learning", theorem 2). None for a member that needs none.
        knots: binary only: points (mean probability, calibrated one) of a rising line that takes the place of the
            temperature (isotonic regression, Zadrozny and Elkan 2002); empty for none.
    """

    def __init__(
        self,
        members: Sequence[Any],
        slices: Sequence[tuple[int, int]],
        weights: Sequence[float],
        n_features: int,
        n_classes: int = 2,
        present: Sequence[Sequence[int] | None] = (),
        temperature: float = 1.0,
        knots: Sequence[tuple[float, float]] = (),
        factors: Sequence[Sequence[float] | None] = (),
    ) -> None:
        super().__init__(members, slices, weights, n_features)
        self.n_classes = n_classes
        self.present = present
        self.temperature = temperature
        self.knots = knots
        self.factors = factors

    @property
    def classes_(self) -> Array:
        """Codes 0 … n-1."""
        return np.arange(self.n_classes)

    def predict_proba(self, X: Array) -> Array:  # noqa: N803
        """Return probabilities, float64, shape (rows, classes)."""
        total = np.zeros((len(X), self.n_classes))
        for answer, weight in zip(self.answers(X), self.weights, strict=True):
            total += weight * answer
        return calibrated(total, self.temperature, self.knots)

    def answers(self, X: Array) -> Iterator[Array]:  # noqa: N803
        """Yield each member's probabilities, shape (rows, classes): 0 of a class that it does not know."""
        nothing = [None] * len(self.members)
        present, factors = self.present or nothing, getattr(self, "factors", ()) or nothing  # older packages have none
        for member, (start, stop), known, by in zip(self.members, self.slices, present, factors, strict=True):
            found = reweighted(np.asarray(member.predict_proba(X[:, start:stop]), dtype=float), by)
            if known is None:
                yield found
                continue
            widened = np.zeros((len(X), self.n_classes))
            widened[:, list(known)] = found
            yield widened

    def predict(self, X: Array) -> Array:  # noqa: N803
        """Return the codes of the likeliest classes, shape (rows,)."""
        codes: Array = self.predict_proba(X).argmax(axis=1)
        return codes


def reweighted(probabilities: Array, factors: Sequence[float] | Array | None) -> Array:
    """Return probabilities, shape (rows, classes), times one factor a class, made to sum to 1; as they are of None."""
    if factors is None:
        return probabilities
    raised = probabilities * np.asarray(factors, dtype=float)
    shares: Array = raised / raised.sum(axis=1, keepdims=True)
    return shares


def calibrated(probabilities: Array, temperature: float, knots: Sequence[tuple[float, float]] = ()) -> Array:
    """Return probabilities, shape (rows, classes), after a temperature or along a line through ``knots``."""
    if len(knots):
        known, wanted = np.array(knots, dtype=float).T
        positive = np.interp(probabilities[:, 1], known, wanted)
        return np.column_stack([1 - positive, positive])
    if temperature == 1.0:
        return probabilities
    return softmax(np.log(np.maximum(probabilities, SMALLEST)) / temperature)


def softmax(logits: Array) -> Array:
    """Return probabilities, shape (rows, classes), from logits of that shape."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = raised / raised.sum(axis=1, keepdims=True)
    return shares
