"""What a frame looks like, column by column, small enough to read and to keep beside it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from include.data.frames import kind_of

TOP = 20
"""Most frequent values kept of a column that is no number."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def profile(frame: pd.DataFrame) -> dict[str, Any]:
    """Return ``{"rows": n, "columns": {name: {...}}}``, JSON-ready.

    Every column has ``kind``, ``nulls`` and ``distinct``; numbers also ``min``, ``max``, ``mean``, ``std`` and
    ``quantiles``; times ``min`` and ``max`` (ISO 8601); booleans and strings ``top``: the most frequent values with
    their counts.
    """
    return {"rows": len(frame), "columns": {str(name): _column(frame[name]) for name in frame.columns}}


def schema(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return name, kind, dtype and nullability of every column, in order."""
    return [
        {
            "name": str(name),
            "kind": kind_of(frame[name]),
            "dtype": str(frame[name].dtype),
            "nullable": bool(frame[name].isna().any()),
        }
        for name in frame.columns
    ]


def _column(values: pd.Series) -> dict[str, Any]:
    kind, known = kind_of(values), values.dropna()
    described: dict[str, Any] = {"kind": kind, "nulls": int(values.isna().sum()), "distinct": int(known.nunique())}
    if known.empty:
        return described
    if kind == "number":
        quantiles = known.astype("float64").quantile(list(QUANTILES))
        described |= {
            "min": float(known.min()),
            "max": float(known.max()),
            "mean": float(known.mean()),
            "std": float(known.std(ddof=0)),
            "quantiles": {f"{q:g}": float(value) for q, value in quantiles.items()},
        }
    elif kind == "datetime":
        described |= {"min": known.min().isoformat(), "max": known.max().isoformat()}
    else:
        counts = known.astype(str).value_counts()
        # ties in the order of the alphabet, so that equal frames have equal profiles
        top = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))[:TOP]
        described["top"] = {str(value): int(count) for value, count in top}
    return described
