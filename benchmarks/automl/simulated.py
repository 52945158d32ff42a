"""A large table, drawn: 50 columns of numbers and categories with gaps, and a target that needs several of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ROWS = 1_333_334
"""Rows of which three quarters, a million, are there to learn from."""
NUMBERS, LEVELS = 38, (2, 3, 5, 8, 12, 20, 40, 100, 300, 1000, 3000, 10_000)
"""Columns of numbers, and how many levels each column of categories has."""
GAPS = 0.03
"""Share of the values that every third column lacks."""


def simulated(rows: int = ROWS) -> pd.DataFrame:
    """Return ``rows`` rows with the target ``y`` of 0 and 1; a fifth of the numbers and half of the categories matter.

    The logit is a sum of a line, a bend, a product, a step and effects of levels, to which noise of the same size is
    added: no model can know more than the sum.
    """
    import pandas as pd

    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((rows, NUMBERS), dtype=np.float32)
    numbers[:, 1::4] = np.exp(numbers[:, 1::4])  # such as amounts are
    numbers[:, 2::4] = np.round(3 * numbers[:, 2::4])  # such as counts are
    signal = numbers[:, 0] - 0.8 * np.log(numbers[:, 1]) + np.abs(numbers[:, 3]) + numbers[:, 4] * numbers[:, 7]
    signal += np.sin(2 * numbers[:, 8]) + (numbers[:, 2] > 2)
    columns = {f"n{place:02}": numbers[:, place] for place in range(NUMBERS)}
    for place, levels in enumerate(LEVELS):
        codes = (levels * rng.random(rows) ** 2).astype(int)  # low codes are common, high ones rare
        if place % 2:
            signal += rng.normal(0, 0.7, levels).astype(np.float32)[codes]
        columns[f"c{place:02}"] = np.char.add("level ", np.arange(levels).astype(str)).astype(object)[codes]
    signal -= signal.mean()
    target = signal + rng.logistic(0, signal.std() / 1.8, rows) > signal.std()
    frame = pd.DataFrame(columns)
    for name in frame.columns[::3]:
        frame.loc[rng.random(rows) < GAPS, name] = None
    return frame.assign(y=target.astype(int))
