"""Numbers, booleans and times: gaps filled and marked, scaled where a model asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.features.blocks import Block, spread
from include.inference.dates import DATE_PARTS, date_parts
from include.inference.encoding import Date, Missing, Numbers, Part, Squashed
from include.inference.squashing import squashed

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

_LARGEST = float(np.finfo(np.float32).max)
_NORMAL_RANGE = 1.349
_AT_ONCE = 500_000
"""Values that are looked at together."""


class NumberBlock(Block):
    """Numbers: gaps filled with the training median or mode, and marked where training rows had some.

    Columns whose gaps lie in the same rows share one mark.
    """

    parts_of_column: tuple[str, ...] = ("",)
    """Suffixes of the quantities that one column becomes."""
    marks: bool = True
    """Whether gaps are marked."""

    def __init__(
        self,
        columns: tuple[str, ...],
        strategy: Literal["median", "most_frequent"] = "median",
        scale: bool = False,
    ) -> None:
        super().__init__(columns, scale)
        self.strategy = strategy

    def fit(self, rows: pd.DataFrame, y: Array | None) -> NumberBlock:
        """Learn what fills the gaps of each column, which gaps are marked, and the scale."""
        fill, means, deviations = [np.empty(0)], [np.empty(0)], [np.empty(0)]
        self.gaps_: list[int] = []  # positions of the columns whose gaps are marked
        patterns: set[bytes] = set()
        for places in self._together(rows):
            table = self._table(places, rows)
            missing = np.isnan(table)
            of_columns = missing[:: len(self.parts_of_column)]  # the parts of a time are missing together
            for place in np.flatnonzero(of_columns.any(axis=1)) if self.marks else ():
                if (pattern := np.packbits(of_columns[place]).tobytes()) not in patterns:
                    patterns.add(pattern)
                    self.gaps_.append(places[int(place)])
            fill.append(_by_column(table, lambda known: _typical(known, self.strategy)))
            if self.scale:
                mean, deviation = spread(np.where(missing, fill[-1][:, None], table))
                means.append(mean)
                deviations.append(deviation)
        self.fill_ = np.concatenate(fill)
        self.mean_ = np.concatenate(means) if self.scale else None
        self.deviation_ = np.concatenate(deviations) if self.scale else None
        return self

    def write(self, rows: pd.DataFrame, out: Array) -> None:
        """Write the quantities without gaps, then the marks."""
        width, marked = len(self.parts_of_column), {place: mark for mark, place in enumerate(self.gaps_)}
        for places in self._together(rows):
            table = self._table(places, rows)
            missing = np.isnan(table)
            learnt = slice(places.start * width, places.stop * width)
            for place in places:
                if place in marked:
                    out[:, len(self.fill_) + marked[place]] = missing[(place - places.start) * width]
            if missing.any():
                table = np.where(missing, self.fill_[learnt, None], table)
            if self.mean_ is not None and self.deviation_ is not None:
                table = (table - self.mean_[learnt, None]) / self.deviation_[learnt, None]
            out[:, learnt] = table.T

    def _together(self, rows: pd.DataFrame) -> Iterator[range]:
        """Yield positions of columns that are looked at together: one of a long table, many of a wide one."""
        step = max(1, _AT_ONCE // max(1, len(rows) * len(self.parts_of_column)))
        for start in range(0, len(self.columns), step):
            yield range(start, min(start + step, len(self.columns)))

    def _table(self, places: range, rows: pd.DataFrame) -> Array:
        """Return what the columns at ``places`` become: float64, shape (columns × parts, rows), gaps as NaN.

        Infinite values are missing, and all fit into float32.
        """
        names = list(self.columns[places.start : places.stop])
        values = np.array(rows[names].to_numpy(np.float64).T, order="C", copy=True)
        values[np.isinf(values)] = np.nan
        return np.clip(values, -_LARGEST, _LARGEST, out=values)

    def parts(self) -> list[Part]:
        """Return the quantities, and the marks where there are some."""
        return [Numbers(columns=self.columns, **self._learnt(0, len(self.fill_))), *self._marks()]

    def _learnt(self, start: int, stop: int) -> dict[str, tuple[float, ...]]:
        """Return fill and scale of some quantities, as a document keeps them."""
        found = {"fill": tuple(self.fill_[start:stop].tolist())}
        if self.mean_ is not None and self.deviation_ is not None:
            found |= {
                "mean": tuple(self.mean_[start:stop].tolist()),
                "deviation": tuple(self.deviation_[start:stop].tolist()),
            }
        return found

    def _marks(self) -> list[Part]:
        columns = tuple(self.columns[position] for position in self.gaps_)
        return [Missing(columns=columns)] if columns else []

    def names(self) -> list[str]:
        """Return the quantities' names, then ``… is missing``."""
        names = [column + part for column in self.columns for part in self.parts_of_column]
        return names + [f"{self.columns[position]} is missing" for position in self.gaps_]


class SquashedBlock(NumberBlock):
    """Numbers for models that need one scale, on which far values must not drown the others.

    Each is taken off its median, divided by its interquartile range (that of a normal distribution being 1.349) and
    squashed (`include.inference.squashing`) before it is scaled.
    """

    def fit(self, rows: pd.DataFrame, y: Array | None) -> SquashedBlock:
        """Learn the median and the interquartile range of each column, and all that a `NumberBlock` learns."""
        centres, units = [np.empty(0)], [np.empty(0)]
        for places in self._together(rows):
            table = self._plain(places, rows)
            low, centre, high = (_by_column(table, partial(_quantile, share)) for share in (0.25, 0.5, 0.75))
            unit = (high - low) / _NORMAL_RANGE
            flat = unit == 0
            unit[flat] = _by_column(table[flat], lambda known: spread(known)[1])
            units.append(np.where(unit == 0, 1.0, unit))  # of a column without a value
            centres.append(centre)
        self.centre_, self.unit_ = np.concatenate(centres), np.concatenate(units)
        return super().fit(rows, y)

    def _table(self, places: range, rows: pd.DataFrame) -> Array:
        values, learnt = self._plain(places, rows), slice(places.start, places.stop)
        with np.errstate(over="ignore"):
            return squashed((values - self.centre_[learnt, None]) / self.unit_[learnt, None])

    def parts(self) -> list[Part]:
        """Return the quantities, and the marks where there are some."""
        learnt = self._learnt(0, len(self.fill_)) | self._curve()
        return [Squashed(columns=self.columns, **learnt), *self._marks()]

    def _curve(self) -> dict[str, tuple[float, ...]]:
        return {"centre": tuple(self.centre_.tolist()), "unit": tuple(self.unit_.tolist())}

    def _plain(self, places: range, rows: pd.DataFrame) -> Array:
        """Return the columns at ``places`` before they are squashed, float64, shape (columns, rows)."""
        return super()._table(places, rows)


class DateBlock(NumberBlock):
    """Times: calendar parts, treated as numbers, with one mark a column."""

    parts_of_column = tuple(f".{part}" for part in DATE_PARTS)

    def _table(self, places: range, rows: pd.DataFrame) -> Array:
        times = (rows[self.columns[place]].to_numpy("datetime64[ns]") for place in places)
        return np.concatenate([date_parts(values).T for values in times])

    def parts(self) -> list[Part]:
        """Return one part a column, and the marks where there are some."""
        width = len(DATE_PARTS)
        dates = [
            Date(column=column, **self._learnt(index * width, (index + 1) * width))
            for index, column in enumerate(self.columns)
        ]
        return [*dates, *self._marks()]


def _by_column(table: Array, learn: Callable[[Array], Any]) -> Array:
    """Return what is learnt of the known values of each column, shape (columns,); 0 of none.

    Args:
        table: shape (columns, rows), gaps as NaN.
        learn: known values, shape (…, rows), to one figure for each column.
    """
    found = np.zeros(len(table))
    whole = ~np.isnan(table).any(axis=1)
    if table.shape[1] and whole.any():
        found[whole] = learn(table if whole.all() else table[whole])
    for place in np.flatnonzero(~whole):
        if len(known := table[place][~np.isnan(table[place])]):
            found[place] = learn(known)
    return found


def _quantile(share: float, known: Array) -> Any:
    return np.quantile(known, share, axis=-1)


def _typical(known: Array, strategy: str) -> Any:
    """Return the median or the most frequent (of several, the smallest) of known values along the last axis."""
    if strategy == "median":
        return np.median(known, axis=-1)
    if known.ndim > 1:
        return [_typical(one, strategy) for one in known]
    values, counts = np.unique(known, return_counts=True)
    return values[counts.argmax()]
