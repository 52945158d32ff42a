"""What a neural net sees of a column: its robustly scaled value, and how far it has come through each of its quantiles.

Scaling by quartiles with a smooth clip is Holzmüller et al. 2024, "Better by default"; the piecewise linear steps are
Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning".
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
SOFT = np.float32(3.0)
"""Scaled values approach plus and minus this."""
_FARTHEST = 1000.0
"""Scaled distance from the middle beyond which a value is as good as infinitely far."""
_QUARTILES_OF_NORMAL = 1.349
"""Distance between the quartiles of a normal distribution, in standard deviations."""
_MOST_STEPS = 768
"""Steps of all columns together: beyond that each column has fewer, down to none."""
_LARGEST = 1e38
"""Larger numbers count as this: their differences must fit into float32."""
_ROWS_A_STEP = 100
"""Rows that a step must have at least: fewer would be learnt by heart."""
_CELLS, _ROWS = 4_000_000, (1000, 20_000)
"""Values that quantiles are taken of, and the fewest and most rows."""


class MLPInputs:
    """The fitted way from a row to the inputs of a net.

    Values outside the training range count as its ends: nothing that a caller sends is far from what was learnt.

    Attributes:
        lowest, highest: ends of the training range, shape (columns,).
        centre, factor: taken off a value, and multiplied with what remains, shape (columns,).
        sources: column of each step, shape (steps,).
        slopes, offsets: a step is ``clip(slope * scaled + offset, -1, 1)``, shape (steps,).
    """

    def __init__(self, rows: Array, steps: int, rng: np.random.Generator) -> None:
        """Learn from ``rows``, shape (rows, columns), with up to ``steps`` steps a column."""
        ends = np.clip([rows.min(axis=0), rows.max(axis=0)], -_LARGEST, _LARGEST, dtype=np.float64)
        lowest, highest = ends
        most = int(np.clip(_CELLS // rows.shape[1], *_ROWS))
        if len(rows) > most:
            rows = rows[rng.choice(len(rows), most, replace=False)]
        rows = np.clip(rows, *ends, dtype=np.float64)
        first, middle, third = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
        two = ((rows == lowest) | (rows == highest)).all(axis=0)
        scale = np.where(two | (third <= first), highest / 2 - lowest / 2, (third - first) / _QUARTILES_OF_NORMAL)
        scale = np.maximum(np.where(highest > lowest, scale, 1.0), np.finfo(np.float32).tiny * _FARTHEST)
        self.lowest = np.maximum(lowest, middle - _FARTHEST * scale).astype(np.float32)
        self.highest = np.minimum(highest, middle + _FARTHEST * scale).astype(np.float32)
        self.centre, self.factor = middle.astype(np.float32), (1 / scale).astype(np.float32)
        self._learn_steps(rows, np.flatnonzero(~two), steps)

    def _learn_steps(self, rows: Array, columns: Array, steps: int) -> None:
        many = min(steps, _MOST_STEPS // max(1, len(columns)), len(rows) // _ROWS_A_STEP)
        found: list[tuple[int, float, float]] = []
        if many > 1:
            scaled = self._scaled(rows.astype(np.float32))
            for column in columns.tolist():
                ends = np.unique(np.quantile(scaled[:, column], np.linspace(0, 1, many + 1)).astype(np.float32))
                widths = np.diff(ends).astype(np.float64)
                if len(widths) > 1:
                    slopes = 2 / np.maximum(widths, 1e-6)
                    offsets = -slopes * ends[:-1] - 1
                    found += zip([column] * len(slopes), slopes.tolist(), offsets.tolist(), strict=True)
        self.sources = np.array([source for source, _, _ in found], dtype=np.int64)
        self.slopes = np.array([slope for _, slope, _ in found], dtype=np.float32)
        self.offsets = np.array([offset for _, _, offset in found], dtype=np.float32)

    @property
    def width(self) -> int:
        """How many inputs a row becomes."""
        return len(self.centre) + len(self.sources)

    def __call__(self, rows: Array) -> Array:
        """Return the inputs of float32 ``rows`` without missing values; float32, shape (rows, width)."""
        scaled = self._scaled(rows)
        if not len(self.sources):
            return scaled
        steps = scaled[:, self.sources]
        steps *= self.slopes
        steps += self.offsets
        np.clip(steps, -1, 1, out=steps)
        return np.concatenate([scaled, steps], axis=1)

    def _scaled(self, rows: Array) -> Array:
        scaled: Array = np.minimum(np.maximum(rows, self.lowest), self.highest)
        scaled -= self.centre
        scaled *= self.factor
        scaled /= np.sqrt(1 + np.square(scaled / SOFT))
        return scaled
