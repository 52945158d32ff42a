"""The feature plan: one sklearn transformer from typed columns to numbers, fitted inside cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from include.features.blocks import Block, CategoryBlock, DateBlock, NumberBlock, Scale
from include.inference.encoding import Encoding, Part
from include.specs.errors import FactoryError
from include.specs.training import Features, Task
from include.store.packages import Field

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]


View = Literal["trees", "scaled"]
"""How a plan shows rows to a family: as trees like them, or with every quantity on one scale."""


class FeaturePlanError(FactoryError):
    """The rows lack a column that the plan was fitted on."""


class FeaturePlan(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Impute, encode and, if asked, scale; an sklearn transformer whose whole state skops can keep.

    Numbers get the training median and an indicator where training rows had gaps; booleans the most frequent value
    likewise; dates become calendar parts; categories are one-hot encoded up to ``max_onehot`` levels (a missing value
    is a level, rare levels share one) and target-encoded above. Target encodings are cross-fitted in
    ``fit_transform``, so that training rows never see their own target (Micci-Barreca 2001; scikit-learn's
    TargetEncoder). Unseen categories, gaps and infinite numbers are welcome in ``transform``.

    Args:
        numeric: columns of numbers.
        categorical: columns used as categories; numbers and booleans are accepted.
        dates: columns of times.
        booleans: columns of 0, 1 and missing.
        scale: centre and scale to unit variance everything but one-hot columns and indicators.
        max_onehot: levels up to which a category is one-hot encoded.
        task: binary, multiclass or regression; the target encoding depends on it.
    """

    def __init__(
        self,
        numeric: Sequence[str] = (),
        categorical: Sequence[str] = (),
        dates: Sequence[str] = (),
        booleans: Sequence[str] = (),
        scale: bool = False,
        max_onehot: int = 20,
        task: Task = "binary",
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.dates = dates
        self.booleans = booleans
        self.scale = scale
        self.max_onehot = max_onehot
        self.task = task

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> FeaturePlan:  # noqa: N803 - sklearn's name
        """Learn medians, levels and encodings from training rows."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None) -> Array:  # noqa: N803
        """Learn from ``X`` and return it transformed, target encodings cross-fitted; float32, shape (rows, outputs).

        ``y`` (codes of classes, or values) is needed when a category has more than ``max_onehot`` levels.
        """
        blocks: tuple[Block, ...] = (
            NumberBlock(tuple(self.numeric)),
            NumberBlock(tuple(self.booleans), "most_frequent"),
            DateBlock(tuple(self.dates)),
            CategoryBlock(tuple(self.categorical), self.max_onehot, self.task),
        )
        self.blocks_ = [block for block in blocks if block.columns]
        self.feature_names_in_ = np.array(self._columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self._present(X)
        outputs = _joined([block.fit_transform(X, y) for block in self.blocks_], len(X))
        self._learn_scale(outputs)
        scaled = self._scaled(outputs)
        self.center_ = scaled.mean(axis=0, dtype=np.float64)  # what explanations of linear models start from
        return scaled

    def transform(self, X: pd.DataFrame) -> Array:  # noqa: N803
        """Return ``X`` as numbers without gaps; float32, shape (rows, outputs).

        Raises:
            FeaturePlanError: a column is missing.
        """
        check_is_fitted(self, "blocks_")
        self._present(X)
        return self._scaled(_joined([block.transform(X) for block in self.blocks_], len(X)))

    def encoding(self, inputs: Sequence[str]) -> Encoding:
        """Return what `transform` does as a document, from which `include.inference.encoder` does the same.

        Args:
            inputs: the columns of a row, in order; they hold every column of the plan.
        """
        check_is_fitted(self, "blocks_")
        scale = None if self.mean_ is None or self.deviation_ is None else Scale(self.mean_, self.deviation_)
        parts: list[Part] = []
        start = 0
        for block in self.blocks_:
            stop = start + len(block.names())
            parts += block.parts(scale.of(start, stop) if scale else None)
            start = stop
        return Encoding(inputs=tuple(inputs), parts=tuple(parts))

    def _learn_scale(self, outputs: Array) -> None:
        """Learn mean and standard deviation of the quantities; yes-or-no outputs keep their 0 and 1."""
        self.mean_, self.deviation_ = None, None
        if self.scale:
            quantity = np.array([flag for block in self.blocks_ for flag in block.continuous()], dtype=bool)
            scaler = StandardScaler().fit(outputs)
            self.mean_ = np.where(quantity, scaler.mean_, 0.0)
            self.deviation_ = np.where(quantity, scaler.scale_, 1.0)

    def _scaled(self, outputs: Array) -> Array:
        if self.mean_ is not None:
            outputs = (outputs - self.mean_) / self.deviation_
        return outputs.astype(np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return one readable name an output: ``fee``, ``plan=basic``, ``plan=(rare)``, ``fee is missing``."""
        check_is_fitted(self, "blocks_")
        return np.array([name for block in self.blocks_ for name in block.names()], dtype=object)

    @property
    def _columns(self) -> list[str]:
        return [*self.numeric, *self.booleans, *self.dates, *self.categorical]

    def _present(self, rows: pd.DataFrame) -> None:
        if absent := [name for name in self._columns if name not in rows.columns]:
            raise FeaturePlanError(f"missing columns: {', '.join(absent)}; the model was fitted on them")


def build_plan(fields: Iterable[Field], features: Features, task: Task, view: View) -> FeaturePlan:
    """Return the unfitted plan for ``fields``, as the spec's ``features`` ask.

    A column named in ``features.categorical`` is used as a category whatever its type; a caller still sends the type.
    """
    by_use: dict[str, list[str]] = {"number": [], "boolean": [], "datetime": [], "string": []}
    for field in fields:
        by_use["string" if field.name in features.categorical else field.type].append(field.name)
    return FeaturePlan(
        numeric=tuple(by_use["number"]),
        categorical=tuple(by_use["string"]),
        dates=tuple(by_use["datetime"]),
        booleans=tuple(by_use["boolean"]),
        scale=view == "scaled",
        max_onehot=features.max_onehot,
        task=task,
    )


def _joined(parts: list[Array], rows: int) -> Array:
    if not parts:
        return np.empty((rows, 0))
    return np.hstack(parts)
