"""Checked rows to the DataFrame that an estimator was fitted on, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.inference.scorer import Row
from include.store.packages import Field, Manifest

if TYPE_CHECKING:
    import pandas as pd


def numeric_frame(rows: Sequence[Row], fields: Sequence[Field]) -> pd.DataFrame:
    """Return ``rows`` of numbers and booleans alone as a DataFrame."""
    import numpy as np
    import pandas as pd

    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(fields))
    return pd.DataFrame(table, columns=[field.name for field in fields], copy=False)


def mixed_frame(rows: Sequence[Row], fields: Sequence[Field]) -> pd.DataFrame:
    """Return ``rows`` as a DataFrame: the same as `packages.typed` gives."""
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {}
    for field, values in zip(fields, zip(*rows, strict=True), strict=True):
        if field.type in ("number", "boolean"):
            columns[field.name] = np.array(values, dtype=np.float64)
        elif field.type == "string":
            columns[field.name] = np.array(values, dtype=object)
        else:
            times = pd.to_datetime(pd.Series(values, dtype=object), utc=True)
            columns[field.name] = times.astype("datetime64[ns, UTC]")
    return pd.DataFrame(columns, copy=False)


def rows_of(frame: pd.DataFrame, fields: Sequence[Field]) -> list[Row]:
    """Return a typed ``frame`` as rows that a caller could have sent.

    Infinite values are missing, numbers beyond float32 are cut to it, and times lose their nanoseconds.
    """
    import numpy as np

    largest = float(np.finfo(np.float32).max)
    columns: list[list[Any]] = []
    for field in fields:
        values = frame[field.name]
        if field.type in ("number", "boolean"):
            numbers = values.to_numpy(np.float64, copy=True)
            numbers[np.isinf(numbers)] = np.nan
            columns.append(np.clip(numbers, -largest, largest).tolist())
        elif field.type == "string":
            columns.append(values.tolist())
        else:
            times = zip(values.dt.floor("us").dt.to_pydatetime(), values.isna(), strict=True)
            columns.append([None if missing else time for time, missing in times])
    return list(zip(*columns, strict=True)) if len(frame) else []


def typical_row(manifest: Manifest) -> Row:
    """Return the row of the values that the manifest calls typical; missing where it names none."""
    values: list[Any] = []
    for field in manifest.features:
        if field.type in ("number", "boolean"):
            values.append(float("nan") if field.typical is None else float(field.typical))
        elif field.type == "datetime" and field.typical is not None:
            time = datetime.fromisoformat(field.typical)
            values.append(time if time.tzinfo else time.replace(tzinfo=UTC))
        else:
            values.append(field.typical)
    return tuple(values)
