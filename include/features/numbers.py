"""Numbers, booleans and times: gaps filled and marked, scaled where a model asks for it."""

from __future__ import annotations

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
        fill: list[float] = []
        scales: list[tuple[float, float]] = []
        self.gaps_: list[int] = []  # positions of the columns whose gaps are marked
        patterns: set[bytes] = set()
        for position, column in enumerate(self.columns):
            quantities = self._quantities(column, rows)
            missing = np.isnan(quantities[0])  # the parts of a time are missing together
            if self.marks and missing.any() and (pattern := np.packbits(missing).tobytes()) not in patterns:
                patterns.add(pattern)
                self.gaps_.append(position)
            for values in quantities:
                known = values[~missing]
                fill.append(_typical(known, self.strategy))
                if self.scale:
                    scales.append(spread(np.where(missing, fill[-1], values)))
        self.fill_ = np.array(fill)
        self.mean_ = np.array([mean for mean, _ in scales]) if self.scale else None
        self.deviation_ = np.array([deviation for _, deviation in scales]) if self.scale else None
        return self

    def write(self, rows: pd.DataFrame, out: Array) -> None:
        """Write the quantities without gaps, then the marks."""
        place, mark = 0, len(self.fill_)
        for position, column in enumerate(self.columns):
            quantities = self._quantities(column, rows)
            missing = np.isnan(quantities[0])
            gaps = bool(missing.any())
            if position in self.gaps_:
                out[:, mark] = missing
                mark += 1
            for values in quantities:
                filled = np.where(missing, self.fill_[place], values) if gaps else values
                if self.mean_ is not None and self.deviation_ is not None:
                    filled = (filled - self.mean_[place]) / self.deviation_[place]
                out[:, place] = filled
                place += 1

    def _quantities(self, column: str, rows: pd.DataFrame) -> list[Array]:
        """Return what a column becomes, each float64; infinite values are missing, and all fit into float32."""
        values = rows[column].to_numpy(np.float64, copy=True)
        values[np.isinf(values)] = np.nan
        return [np.clip(values, -_LARGEST, _LARGEST, out=values)]

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
        self.centre_, self.unit_ = np.zeros(len(self.columns)), np.ones(len(self.columns))
        for position, column in enumerate(self.columns):
            values = self._plain(column, rows)
            if len(known := values[~np.isnan(values)]):
                low, centre, high = np.quantile(known, (0.25, 0.5, 0.75))
                self.centre_[position] = centre
                self.unit_[position] = (high - low) / _NORMAL_RANGE or spread(known)[1]
        return super().fit(rows, y)

    def _quantities(self, column: str, rows: pd.DataFrame) -> list[Array]:
        position = self.columns.index(column)
        values = self._plain(column, rows)
        with np.errstate(over="ignore"):
            return [squashed((values - self.centre_[position]) / self.unit_[position])]

    def parts(self) -> list[Part]:
        """Return the quantities, and the marks where there are some."""
        learnt = self._learnt(0, len(self.fill_)) | self._curve()
        return [Squashed(columns=self.columns, **learnt), *self._marks()]

    def _curve(self) -> dict[str, tuple[float, ...]]:
        return {"centre": tuple(self.centre_.tolist()), "unit": tuple(self.unit_.tolist())}

    def _plain(self, column: str, rows: pd.DataFrame) -> Array:
        return super()._quantities(column, rows)[0]


class DateBlock(NumberBlock):
    """Times: calendar parts, treated as numbers, with one mark a column."""

    parts_of_column = tuple(f".{part}" for part in DATE_PARTS)

    def _quantities(self, column: str, rows: pd.DataFrame) -> list[Array]:
        return list(date_parts(rows[column].to_numpy("datetime64[ns]")).T)

    def parts(self) -> list[Part]:
        """Return one part a column, and the marks where there are some."""
        width = len(DATE_PARTS)
        dates = [
            Date(column=column, **self._learnt(index * width, (index + 1) * width))
            for index, column in enumerate(self.columns)
        ]
        return [*dates, *self._marks()]


def _typical(known: Array, strategy: str) -> float:
    """Return the median or the most frequent (of several, the smallest) of the known values; 0 of none."""
    if not len(known):
        return 0.0
    if strategy == "median":
        return float(np.median(known))
    values, counts = np.unique(known, return_counts=True)
    return float(values[counts.argmax()])
