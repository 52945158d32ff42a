"""The parts of a feature plan: columns of one kind, learnt by scikit-learn and applied by numpy.

scikit-learn's own `transform` costs several milliseconds for a single row, mostly in validation. What its transformers
learn is small (a median, a table of levels), so that alone is kept and applied; tests hold both against each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from include.inference.dates import DATE_PARTS, date_parts
from include.inference.encoding import MISSING, Category, Date, Missing, Numbers, Part
from include.specs.training import Task

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

RARE_ROWS = 10
"""Levels with fewer training rows than this share one column: an estimate from so few rows is mostly noise."""
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each output, float64, shape (outputs,)."""

    mean: Array
    deviation: Array

    def of(self, start: int, stop: int) -> Scale:
        """Return the scale of some of the outputs."""
        return Scale(self.mean[start:stop], self.deviation[start:stop])

    def lists(self) -> dict[str, tuple[float, ...]]:
        """Return ``mean`` and ``deviation`` as a document keeps them."""
        return {"mean": tuple(self.mean.tolist()), "deviation": tuple(self.deviation.tolist())}


class Block(BaseEstimator, ABC):  # type: ignore[misc]
    """Columns of one kind and what was learnt about them."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns

    @abstractmethod
    def fit_transform(self, rows: pd.DataFrame, y: Array | None) -> Array:
        """Learn from training rows and return them as numbers, shape (rows, outputs)."""

    @abstractmethod
    def transform(self, rows: pd.DataFrame) -> Array:
        """Return ``rows`` as numbers, shape (rows, outputs)."""

    @abstractmethod
    def parts(self, scale: Scale | None) -> list[Part]:
        """Return the parts of an encoding that give the same outputs, scaled by ``scale`` where there is one."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the outputs' names."""

    @abstractmethod
    def continuous(self) -> list[bool]:
        """Tell for each output whether it is a quantity, which can be scaled, rather than a yes or no."""


class NumberBlock(Block):
    """Numbers: gaps filled with the training median or mode, and marked where training rows had some."""

    parts_of_column: tuple[str, ...] = ("",)
    """Suffixes of the quantities that one column becomes."""

    def __init__(self, columns: tuple[str, ...], strategy: Literal["median", "most_frequent"] = "median") -> None:
        super().__init__(columns)
        self.strategy = strategy

    def fit_transform(self, rows: pd.DataFrame, y: Array | None) -> Array:
        """Learn what fills the gaps of each column, and return the rows transformed."""
        values = self._values(rows)
        imputer = SimpleImputer(strategy=self.strategy, keep_empty_features=True).fit(values)
        self.fill_ = imputer.statistics_
        first = np.arange(0, values.shape[1], len(self.parts_of_column))  # the parts of a column are missing together
        self.gaps_ = first[np.isnan(values[:, first]).any(axis=0)]
        return self._filled(values)

    def transform(self, rows: pd.DataFrame) -> Array:
        """Return the rows without gaps."""
        return self._filled(self._values(rows))

    def _values(self, rows: pd.DataFrame) -> Array:
        """Return the columns as float64; infinite values are missing, and all fit into float32."""
        values = np.column_stack([rows[name].to_numpy(np.float64) for name in self.columns])
        values[np.isinf(values)] = np.nan
        clipped: Array = np.clip(values, -_LARGEST, _LARGEST)
        return clipped

    def _filled(self, values: Array) -> Array:
        missing = np.isnan(values)
        return np.hstack([np.where(missing, self.fill_, values), missing[:, self.gaps_]])

    def parts(self, scale: Scale | None) -> list[Part]:
        """Return the quantities, and the indicators where there are some."""
        scaled = scale.of(0, len(self.fill_)).lists() if scale else {}
        return [Numbers(columns=self.columns, fill=tuple(self.fill_.tolist()), **scaled), *self._indicators()]

    def _indicators(self) -> list[Part]:
        columns = tuple(self.columns[index // len(self.parts_of_column)] for index in self.gaps_)
        return [Missing(columns=columns)] if columns else []

    def names(self) -> list[str]:
        """Return the quantities' names, then ``… is missing``."""
        names = [column + part for column in self.columns for part in self.parts_of_column]
        return names + [f"{self.columns[index // len(self.parts_of_column)]} is missing" for index in self.gaps_]

    def continuous(self) -> list[bool]:
        """Quantities are continuous, indicators are not."""
        return [True] * len(self.fill_) + [False] * len(self.gaps_)


class DateBlock(NumberBlock):
    """Times: calendar parts, treated as numbers, with one indicator a column."""

    parts_of_column = tuple(f".{part}" for part in DATE_PARTS)

    def _values(self, rows: pd.DataFrame) -> Array:
        return np.hstack([date_parts(rows[name].to_numpy("datetime64[ns]")) for name in self.columns])

    def parts(self, scale: Scale | None) -> list[Part]:
        """Return one part a column, and the indicators where there are some."""
        width, found = len(DATE_PARTS), []
        for index, column in enumerate(self.columns):
            start, stop = index * width, (index + 1) * width
            scaled = scale.of(start, stop).lists() if scale else {}
            found.append(Date(column=column, fill=tuple(self.fill_[start:stop].tolist()), **scaled))
        return [*found, *self._indicators()]


class CategoryBlock(Block):
    """Categories: each column is a table from level to numbers, its last row for levels that were never seen.

    The table holds one-hot rows when the column has up to ``max_onehot`` levels, target encodings when it has more.
    """

    def __init__(self, columns: tuple[str, ...], max_onehot: int = 20, task: Task = "binary") -> None:
        super().__init__(columns)
        self.max_onehot = max_onehot
        self.task = task

    def fit_transform(self, rows: pd.DataFrame, y: Array | None) -> Array:
        """Learn the tables; training rows get cross-fitted target encodings instead of the table's."""
        self.levels_: list[Array] = []
        self.tables_: list[Array] = []
        self.names_: list[list[str]] = []
        self.onehot_: list[bool] = []
        return np.hstack([self._learn(column, _texts(rows[column].to_numpy()), y) for column in self.columns])

    def _learn(self, column: str, texts: list[str], y: Array | None) -> Array:
        texts = [text.rstrip("\0") for text in texts]  # as numpy's own text does, to which a row is compared later
        values = np.array(texts, dtype=object)[:, None]
        levels = np.array(sorted(set(texts)))
        unseen = max(texts, key=len) + "+"  # longer than every level, so it is none
        known = np.array([*levels.tolist(), unseen], dtype=object)[:, None]
        onehot = len(levels) <= self.max_onehot
        encoder = _onehot_encoder() if onehot else _target_encoder(self.task, y)
        encoded: Array = encoder.fit_transform(values, y)
        self.levels_.append(levels)
        self.tables_.append(encoder.transform(known))
        self.onehot_.append(onehot)
        self.names_.append(_onehot_names(column, encoder) if onehot else _target_names(column, encoder, self.task))
        return encoded

    def transform(self, rows: pd.DataFrame) -> Array:
        """Return the encoded rows; an unseen level counts as rare where there is such a column."""
        learnt = zip(self.columns, self.levels_, self.tables_, strict=True)
        return np.hstack([table[_codes(rows[column].to_numpy(), levels)] for column, levels, table in learnt])

    def parts(self, scale: Scale | None) -> list[Part]:
        """Return one part a column."""
        found: list[Part] = []
        start = 0
        for column, levels, table in zip(self.columns, self.levels_, self.tables_, strict=True):
            stop = start + table.shape[1]
            scaled = scale.of(start, stop) if scale else None
            values = (table - scaled.mean) / scaled.deviation if scaled else table
            found.append(
                Category(
                    column=column,
                    levels=tuple(levels.tolist()),
                    longest=_longest(levels),
                    table=tuple(map(tuple, values.tolist())),
                )
            )
            start = stop
        return found

    def names(self) -> list[str]:
        """Return ``column=level``, ``column (target mean)``, or ``column (rate of class k)`` for several classes."""
        return [name for names in self.names_ for name in names]

    def continuous(self) -> list[bool]:
        """Target encodings are continuous, one-hot columns are not."""
        return [not onehot for names, onehot in zip(self.names_, self.onehot_, strict=True) for _ in names]


def _onehot_encoder() -> OneHotEncoder:
    return OneHotEncoder(
        min_frequency=RARE_ROWS, handle_unknown="infrequent_if_exist", sparse_output=False, dtype=np.float32
    )


def _onehot_names(column: str, encoder: OneHotEncoder) -> list[str]:
    rare = encoder.infrequent_categories_[0]
    kept = [level for level in encoder.categories_[0] if rare is None or level not in rare]
    return [f"{column}={level}" for level in [*kept, *(["(rare)"] if rare is not None else [])]]


def _target_encoder(task: Task, y: Array | None) -> TargetEncoder:
    if y is None:
        raise ValueError("a category with many levels is target-encoded: fit needs y")
    if task == "regression":
        return TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=0))
    rarest = np.unique(y, return_counts=True)[1].min()
    folds = StratifiedKFold(int(np.clip(rarest, 2, 5)), shuffle=True, random_state=0)
    return TargetEncoder(target_type=task, cv=folds)


def _target_names(column: str, encoder: TargetEncoder, task: Task) -> list[str]:
    if task != "multiclass":
        return [f"{column} (target mean)"]
    return [f"{column} (rate of class {code})" for code in encoder.classes_]


def _texts(values: Array, longest: int | None = None) -> list[str]:
    """Return ``values`` as text, cut to ``longest`` characters; a missing value is a level of its own."""
    if values.dtype.kind in "fiub":
        return [MISSING if value != value else f"{value:.15g}" for value in values.tolist()]
    return [MISSING if value is None or value != value else str(value)[:longest] for value in values.tolist()]


def _codes(values: Array, levels: Array) -> Array:
    """Return the index of each value in the sorted ``levels``, or ``len(levels)`` for a value that is not there."""
    texts = np.array(_texts(values, _longest(levels) + 1))  # one more: a longer value must not be cut to a known level
    places = np.searchsorted(levels, texts)
    found = levels[np.minimum(places, len(levels) - 1)] == texts
    return np.where(found, places, len(levels))


def _longest(levels: Array) -> int:
    return int(levels.dtype.itemsize // 4)  # numpy keeps four bytes a character
