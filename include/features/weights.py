"""The column that says how much each row counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.parsing import parse
from include.specs.errors import FactoryError

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]


class WeightError(FactoryError):
    """The weights of the rows cannot be used."""


def read_weights(column: pd.Series) -> Array:
    """Return the weights of rows as float64, shape (rows,), each of them 0 or more.

    Raises:
        WeightError: a row has no weight, or one that is negative, infinite or no number; or all weigh nothing.
    """
    where = f"problem.weight: column '{column.name}'"
    weights: Array = parse(column, "number").values.to_numpy(np.float64)
    for kind, wrong in (("missing or no number", np.isnan(weights)), ("infinite", np.isinf(weights))):
        if wrong.any():
            raise WeightError(f"{where} is {kind} in {int(wrong.sum())} rows; give every row a weight of 0 or more")
    if (negative := weights < 0).any():
        raise WeightError(f"{where} is negative in {int(negative.sum())} rows; give every row a weight of 0 or more")
    if not weights.any():
        raise WeightError(f"{where} is 0 in every row; name another column, or none")
    return weights
