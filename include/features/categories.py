"""Categories: each column is a table from level to numbers, its last row for levels that were never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.blocks import Block
from include.features.encodings import Folds, cross_fitted, folds_of, level_means, tells
from include.inference.encoding import MISSING, Category, Part
from include.specs.training import Task

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

RARE_ROWS = 10
"""Levels with fewer training rows than this share one column: an estimate from so few rows is mostly noise."""
LONGEST = 120
"""Characters of a level that are looked at."""
MOST_CLASSES = 20
"""Classes up to which a category with many levels gets one rate a class."""


class CategoryBlock(Block):
    """Categories: yes-or-no columns where there are few levels, else the target's mean and the number of rows.

    A column of up to ``max_onehot`` levels becomes one output a level, rare levels sharing one, and a column of two
    levels a single output. One of more levels becomes the smoothed mean of the target at each level, one output a class
    where there are several. Where outputs are not scaled, that is for trees, the number of training rows of the level
    comes beside, and the mean is left out where it says nothing beyond chance: trees would split on its noise.
    """

    def __init__(
        self, columns: tuple[str, ...], max_onehot: int = 20, task: Task = "binary", scale: bool = False
    ) -> None:
        super().__init__(columns, scale)
        self.max_onehot = max_onehot
        self.task = task

    def fit(self, rows: pd.DataFrame, y: Array | None) -> CategoryBlock:
        """Learn the tables.

        Args:
            rows: the training rows.
            y: codes of classes or values; needed where a column has more than ``max_onehot`` levels.
        """
        self.levels_: list[Array] = []
        self.tables_: list[Array] = []
        self.names_: list[list[str]] = []
        self.means_: list[int] = []  # outputs at the beginning of a table that are means of the target
        self.scales_: list[Array] = []  # mean and deviation of each output, shape (2, outputs)
        folds = folds_of(y, self.task) if y is not None else None
        for column in self.columns:
            codes, levels = levels_of(self._values(column, rows))
            counts = np.bincount(codes, minlength=len(levels))
            means = 0
            if len(levels) <= self.max_onehot:
                table, names = _onehot(column, levels, counts)
                scale = _no_scale(table)
            else:
                table, names, means = self._encoded(column, codes, counts, y, folds)
                scale = _scale_of(table, counts) if self.scale else _no_scale(table)
            self.levels_.append(levels)
            self.tables_.append((table - scale[0]) / scale[1])
            self.names_.append(names)
            self.means_.append(means)
            self.scales_.append(scale)
        return self

    def _values(self, column: str, rows: pd.DataFrame) -> Array:
        values: Array = rows[column].to_numpy()
        return values

    def _encoded(
        self, column: str, codes: Array, counts: Array, y: Array | None, folds: Folds | None
    ) -> tuple[Array, list[str], int]:
        """Return the table of a column of many levels, the outputs' names, and how many of them are means."""
        if y is None:
            raise ValueError("a category with many levels is encoded by its target: fit needs y")
        table, names = level_means(codes, len(counts), y, self.task), [f"{column} (target mean)"]
        if self.task == "multiclass":
            names = [f"{column} (rate of class {code})" for code in range(table.shape[1])]
        if self.scale:
            return table, names, len(names)
        rows, of_rows = np.append(counts, 0)[:, None], f"{column} (rows)"
        if len(names) > MOST_CLASSES or not tells(cross_fitted(codes, len(counts), y, self.task, folds), y, self.task):
            return rows, [of_rows], 0
        return np.hstack([table, rows]), [*names, of_rows], len(names)

    def write(self, rows: pd.DataFrame, out: Array) -> None:
        """Write the encoded rows; an unseen level counts as rare where there is such an output."""
        start = 0
        for column, levels, table in zip(self.columns, self.levels_, self.tables_, strict=True):
            stop = start + table.shape[1]
            out[:, start:stop] = table.astype(np.float32)[_codes(self._values(column, rows), levels)]
            start = stop

    def write_training(self, rows: pd.DataFrame, y: Array | None, out: Array) -> None:
        """Write the rows that it was fitted on: means of the target are those of rows of other folds."""
        self.write(rows, out)
        start = 0
        folds = folds_of(y, self.task) if y is not None and any(self.means_) else None
        for column, means, table, scale in zip(self.columns, self.means_, self.tables_, self.scales_, strict=True):
            if means and y is not None:
                codes, levels = levels_of(self._values(column, rows))
                found = cross_fitted(codes, len(levels), y, self.task, folds)
                out[:, start : start + means] = (found - scale[0, :means]) / scale[1, :means]
            start += table.shape[1]

    def parts(self) -> list[Part]:
        """Return one part a column."""
        return [*self.tables()]

    def tables(self) -> list[Category]:
        """Return each column's table as a document keeps it."""
        return [
            Category(
                column=column,
                levels=tuple(levels.tolist()),
                longest=_longest(levels),
                table=tuple(map(tuple, table.tolist())),
            )
            for column, levels, table in zip(self.columns, self.levels_, self.tables_, strict=True)
        ]

    def names(self) -> list[str]:
        """Return ``column=level``, or ``column (target mean)`` (``(rate of class k)``) and ``column (rows)``."""
        return [name for names in self.names_ for name in names]


def levels_of(values: Array) -> tuple[Array, Array]:
    """Return the code of each value's level, and the levels as sorted text; a missing value is a level of its own."""
    codes, texts = texts_of(values, LONGEST)
    levels, places = np.unique(np.array(texts, dtype=str), return_inverse=True)
    return places[codes], levels


def texts_of(values: Array, longest: int) -> tuple[Array, list[str]]:
    """Return codes into texts: numbers as short as can be, text cut to ``longest`` and without NULs at its end."""
    import pandas as pd

    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    if values.dtype.kind in "fiub":
        texts = [f"{value + 0.0:.15g}" for value in distinct.tolist()]  # -0 is 0
    else:
        texts = [str(value)[:longest].rstrip("\0") for value in distinct]
    missing = codes < 0
    if missing.any() or not len(codes):
        codes = np.where(missing, len(texts), codes)
        texts.append(MISSING)
    return codes, texts


def _codes(values: Array, levels: Array) -> Array:
    """Return the index of each value in the sorted ``levels``, or ``len(levels)`` for a value that is not there."""
    codes, distinct = texts_of(values, _longest(levels) + 1)  # one more: a longer value must not be cut to a level
    texts = np.array(distinct, dtype=str)
    places = np.searchsorted(levels, texts)
    found = levels[np.minimum(places, len(levels) - 1)] == texts
    return np.where(found, places, len(levels))[codes]


def _longest(levels: Array) -> int:
    return min(int(levels.dtype.itemsize // 4), LONGEST - 1)  # numpy keeps four bytes a character


def _onehot(column: str, levels: Array, counts: Array) -> tuple[Array, list[str]]:
    """Return the table of a column of few levels, and the outputs' names."""
    rare = counts < RARE_ROWS
    kept = np.flatnonzero(~rare)
    table = np.zeros((len(levels) + 1, len(kept) + int(rare.any())))
    table[kept, np.arange(len(kept))] = 1
    names = [f"{column}={level}" for level in levels[kept]]
    if rare.any():
        table[np.append(rare, True), -1] = 1
        names.append(f"{column}=(rare)")
    if len(names) == 2:  # the other one says the same
        return table[:, 1:], names[1:]
    return table, names


def _no_scale(table: Array) -> Array:
    return np.array([np.zeros(table.shape[1]), np.ones(table.shape[1])])


def _scale_of(table: Array, counts: Array) -> Array:
    """Return mean and deviation of each output over the training rows, shape (2, outputs)."""
    mean = np.average(table[:-1], axis=0, weights=counts)
    deviation = np.sqrt(np.average((table[:-1] - mean) ** 2, axis=0, weights=counts))
    return np.array([mean, np.where(deviation > 10 * np.finfo(np.float64).eps * np.abs(mean), deviation, 1.0)])
