"""A window counted: where its rows fall, column by column, against a reference. Counts of parts add up to the whole.

Numbers are counted in cells between and on the values of the reference. Nothing is lost by that: both the
Kolmogorov-Smirnov distance and the population stability index depend on those counts alone, so a window of any size is
judged without ever being in one place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from include.monitoring.statistics import BINS, homogeneity_of_counts, psi_of_categories, psi_of_counts

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
_EXACT = 10_000
"""Rows of the larger sample up to which scipy computes the exact distribution of the distance."""


@dataclass(frozen=True)
class Grid:
    """The cells of a number: cell 2i + 1 is ``points[i]`` itself, cell 2i what lies below it and above the one before.

    Attributes:
        reference: the reference's values, sorted, shape (n,).
        edges: inner deciles of the reference, where the stability index cuts.
        points: both of these together, without repetition, shape (k,).
    """

    reference: Array
    edges: Array
    points: Array

    @classmethod
    def of(cls, reference: Array) -> Grid:
        """Return the cells of a reference without missing values."""
        edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
        return cls(np.sort(reference), edges, np.unique(np.concatenate([reference, edges])))

    def count(self, values: Array) -> Array:
        """Return how many of ``values`` fall into each cell, shape (2k + 1,); missing ones into none."""
        known = values[~np.isnan(values)]
        cells = np.searchsorted(self.points, known, "left") + np.searchsorted(self.points, known, "right")
        return np.bincount(cells, minlength=2 * len(self.points) + 1)

    def ks_p_value(self, counts: Array) -> float:
        """Return what `include.monitoring.statistics.ks_p_value` returns for values with these counts."""
        from scipy.stats import ks_2samp, kstwo

        rows, size = int(counts.sum()), len(self.reference)
        if max(rows, size) <= _EXACT:
            return float(ks_2samp(self.reference, np.repeat(self._inside(), counts)).pvalue)
        below, up_to = (np.searchsorted(self.reference, self.points, side) / size for side in ("left", "right"))
        reached = np.cumsum(counts) / rows
        distance = max(np.abs(below - reached[:-1:2]).max(), np.abs(up_to - reached[1::2]).max())
        return float(np.clip(kstwo.sf(distance, np.round(rows * size / (rows + size))), 0, 1))

    def psi(self, counts: Array) -> float:
        """Return what `include.monitoring.statistics.numeric_psi` returns for values with these counts."""
        bins = len(self.edges) + 1
        now = np.bincount(np.searchsorted(self.edges, self._inside(), "right"), weights=counts, minlength=bins)
        before = np.bincount(np.searchsorted(self.edges, self.reference, "right"), minlength=bins)
        return psi_of_counts(np.array([before, now], dtype=float))

    def _inside(self) -> Array:
        """Return one value inside of each cell."""
        points = self.points
        middles = np.concatenate([[points[0] - 1], (points[:-1] + points[1:]) / 2, [points[-1] + 1]])
        values = np.empty(2 * len(points) + 1)
        values[0::2], values[1::2] = middles, points
        return values


@dataclass
class WindowCounts:
    """What was counted: number → counts by cell, category → counts by name; missing values are in none."""

    numbers: dict[str, Array] = field(default_factory=dict)
    categories: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, other: WindowCounts) -> None:
        """Take in the counts of another part of the window."""
        for name, counts in other.numbers.items():
            self.numbers[name] = self.numbers[name] + counts if name in self.numbers else counts
        for name, named in other.categories.items():
            self.categories.setdefault(name, Counter()).update(named)


@dataclass(frozen=True)
class Reckoner:
    """Counts frames against a reference, and judges the counts.

    Attributes:
        grids: of the numbers.
        categories: of the others: how often each occurs in the reference, by its name.
    """

    grids: Mapping[str, Grid]
    categories: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, reference: pd.DataFrame, kinds: Mapping[str, str]) -> Reckoner:
        """Return the one of a reference; columns without a value there are left out."""
        filled = {name: reference[name].dropna() for name in kinds if reference[name].notna().any()}
        grids = {name: Grid.of(v.to_numpy(dtype=float)) for name, v in filled.items() if kinds[name] == "numeric"}
        return cls(grids, {name: _named(values) for name, values in filled.items() if name not in grids})

    def count(self, frame: pd.DataFrame) -> WindowCounts:
        """Return the counts of some rows of a window."""
        return WindowCounts(
            {name: grid.count(frame[name].to_numpy(dtype=float)) for name, grid in self.grids.items()},
            {name: Counter(_named(frame[name].dropna())) for name in self.categories},
        )

    def tests(self, counts: WindowCounts) -> dict[str, tuple[float, float]]:
        """Return column → (p-value, population stability index), of columns that the window has values in."""
        found = {}
        for name, cells in counts.numbers.items():
            if cells.sum():
                found[name] = self.grids[name].ks_p_value(cells), self.grids[name].psi(cells)
        for name, named in counts.categories.items():
            if named:
                sides = self.categories[name], named
                found[name] = homogeneity_of_counts(*sides), psi_of_categories(*sides)
        return found


def _named(values: pd.Series) -> dict[str, int]:
    """Return how often each value occurs, by its name."""
    return {str(value): int(count) for value, count in values.value_counts().items()}
