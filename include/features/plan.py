"""The feature plan: one sklearn transformer from typed columns to numbers, fitted inside cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from include.features.blocks import Block, View
from include.features.categories import CategoryBlock
from include.features.codes import LEAST_ROWS, is_code
from include.features.generated import ArithmeticBlock, Description, Generated, PairBlock, SquashedArithmeticBlock
from include.features.numbers import DateBlock, NumberBlock, SquashedBlock
from include.features.texts import TextBlock, is_free_text
from include.inference.encoding import Encoding
from include.specs.errors import FactoryError
from include.specs.training import Features, Task
from include.store.packages import Field

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]


__all__ = ["MAX_ONEHOT", "FeaturePlan", "FeaturePlanError", "View", "build_plan"]

MAX_ONEHOT: dict[View, int] = {"trees": 4, "scaled": 20}
"""Levels up to which a category is one-hot encoded, unless the spec says otherwise; see docs/features.md."""


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
        generated: features made of two columns, as `include.features.generated.Generated.description` gives them.
        plain: columns of ``numeric`` that are never used as names too, whatever they tell as such.
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
        generated: Sequence[Description] = (),
        plain: Sequence[str] = (),
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.dates = dates
        self.booleans = booleans
        self.scale = scale
        self.max_onehot = max_onehot
        self.task = task
        self.generated = generated
        self.plain = plain

    def fit(self, X: pd.DataFrame, y: Array | None = None) -> FeaturePlan:  # noqa: N803 - sklearn's name
        """Learn medians, levels and encodings from training rows."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: pd.DataFrame, y: Array | None = None) -> Array:  # noqa: N803
        """Learn from ``X`` and return it transformed, target encodings cross-fitted; float32, shape (rows, outputs).

        ``y`` (codes of classes, or values) is needed when a category has more than ``max_onehot`` levels.
        """
        self.feature_names_in_ = np.array(self._columns, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self._present(X)
        self.blocks_ = [block.fit(X, y) for block in self._blocks(X, y) if block.columns]
        outputs = self._empty(X)
        for block, out in self._slices(outputs):
            block.write_training(X, y, out)
        self.center_ = outputs.mean(axis=0, dtype=np.float64)  # what explanations of linear models start from
        return outputs

    def transform(self, X: pd.DataFrame) -> Array:  # noqa: N803
        """Return ``X`` as numbers without gaps; float32, shape (rows, outputs).

        Raises:
            FeaturePlanError: a column is missing.
        """
        check_is_fitted(self, "blocks_")
        self._present(X)
        outputs = self._empty(X)
        for block, out in self._slices(outputs):
            block.write(X, out)
        return outputs

    def encoding(self, inputs: Sequence[str]) -> Encoding:
        """Return what `transform` does as a document, from which `include.inference.encoder` does the same.

        Args:
            inputs: the columns of a row, in order; they hold every column of the plan.
        """
        check_is_fitted(self, "blocks_")
        return Encoding(inputs=tuple(inputs), parts=tuple(part for block in self.blocks_ for part in block.parts()))

    def _blocks(self, rows: pd.DataFrame, y: Array | None) -> list[Block]:
        """Return the unfitted blocks; the training rows tell which texts are prose and which numbers are names."""
        pairs = tuple(item for item in self.generated if item[0] == "pair")
        arithmetic = tuple(item for item in self.generated if item[0] != "pair")
        texts = {name for name in self.categorical if _is_text(rows[name])}
        codes = tuple(
            name
            for name in self.numeric
            if y is not None
            and len(rows) >= LEAST_ROWS
            and name not in self.plain
            and is_code(rows[name].to_numpy(np.float64), y, self.task, self.max_onehot, scale=self.scale)
        )
        names = (*(name for name in self.categorical if name not in texts), *codes)
        return [
            (SquashedBlock if self.scale else NumberBlock)(tuple(self.numeric), scale=self.scale),
            NumberBlock(tuple(self.booleans), "most_frequent", scale=self.scale),
            DateBlock(tuple(self.dates), scale=self.scale),
            TextBlock(tuple(name for name in self.categorical if name in texts), self.task, self.scale),
            CategoryBlock(names, self.max_onehot, self.task, self.scale),
            (SquashedArithmeticBlock if self.scale else ArithmeticBlock)(arithmetic, self.scale),
            PairBlock(pairs, self.max_onehot, self.task, self.scale),
        ]

    def _empty(self, rows: pd.DataFrame) -> Array:
        return np.empty((len(rows), sum(len(block.names()) for block in self.blocks_)), dtype=np.float32)

    def _slices(self, outputs: Array) -> Iterator[tuple[Block, Array]]:
        start = 0
        for block in self.blocks_:
            stop = start + len(block.names())
            yield block, outputs[:, start:stop]
            start = stop

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return one readable name an output: ``fee``, ``plan=basic``, ``plan=(rare)``, ``fee is missing``."""
        check_is_fitted(self, "blocks_")
        return np.array([name for block in self.blocks_ for name in block.names()], dtype=object)

    def signs(self, monotone: Mapping[str, int]) -> list[int]:
        """Return for each output 1 or -1 where it is a column of ``monotone``, else 0.

        Args:
            monotone: column of numbers → 1 or -1; outputs rise with the number, and nothing else is made of it.
        """
        check_is_fitted(self, "blocks_")
        of_numbers = [monotone.get(name, 0) for name in self.numeric]  # they come first
        return of_numbers + [0] * (sum(len(block.names()) for block in self.blocks_) - len(of_numbers))

    @property
    def _columns(self) -> list[str]:
        return [*self.numeric, *self.booleans, *self.dates, *self.categorical]

    def _present(self, rows: pd.DataFrame) -> None:
        if absent := [name for name in self._columns if name not in rows.columns]:
            raise FeaturePlanError(f"missing columns: {', '.join(absent)}; the model was fitted on them")


def build_plan(
    fields: Iterable[Field], features: Features, task: Task, view: View, generated: Iterable[Generated] = ()
) -> FeaturePlan:
    """Return the unfitted plan for ``fields``, as the spec's ``features`` ask, and with ``generated`` features.

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
        max_onehot=features.max_onehot or MAX_ONEHOT[view],
        task=task,
        generated=tuple(item.description for item in generated),
        plain=tuple(features.monotone),
    )


def _is_text(column: pd.Series) -> bool:
    if column.dtype != object:
        return False
    known = column.dropna()
    return is_free_text(known.astype(str), known.nunique())
