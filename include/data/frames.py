"""The one form in which rows travel through the factory, whatever they were read from.

A column is a number (``int64``, or ``float64`` where values are missing), a boolean (``bool``, or pandas' ``boolean``),
a point in time (``datetime64[ns, UTC]``) or a string (``object`` of ``str`` and ``None``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd

from include.store.times import times_of, writing_of

Kind = Literal["number", "boolean", "datetime", "string"]
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"

_DATES = 0.95
"""Share of the texts of a column that must be dates of one writing."""
_ZONE = r":\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$"


def kind_of(values: pd.Series) -> Kind:
    """Return the kind of a column of a normalised frame."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values.dtype):
        return "number"
    return "datetime" if pd.api.types.is_datetime64_any_dtype(values.dtype) else "string"


def kinds(frame: pd.DataFrame) -> dict[str, Kind]:
    """Return the kind of every column, in order."""
    return {str(name): kind_of(frame[name]) for name in frame.columns}


def duplicated(names: Iterable[object]) -> list[str]:
    """Return the column names that occur more than once, each once, in order."""
    listed = [str(name) for name in names]
    return sorted({name for name in listed if listed.count(name) > 1}, key=listed.index)


def normalise(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` with every column in its normal form and a fresh row index.

    Times without a zone are read as UTC, strings that are all ISO 8601 dates become times, infinite numbers count as
    missing, and a column of mixed types becomes strings. Column names must be unique.
    """
    columns = {str(name): _normal(frame[name].reset_index(drop=True)) for name in frame.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def to_times(values: pd.Series) -> pd.Series:
    """Return ``values`` as times in UTC; NaT where a value is no time. Numbers are never guessed to be epochs.

    Dates such as 31/12/2024 are read as features are: days beyond 12 tell day from month, else the day comes first.
    """
    if kind_of(values) == "datetime":
        return values
    if kind_of(values) != "string":
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[ns, UTC]")
    if (found := writing_of(values.dropna().map(str), _DATES)) is not None:
        return times_of(values, found[0])
    parsed = pd.to_datetime(values, utc=True, errors="coerce")
    return parsed.astype("datetime64[ns, UTC]")


def as_kind(values: pd.Series, kind: Kind) -> pd.Series:
    """Return a normalised column as another kind; what cannot be read as that kind is missing afterwards."""
    if kind_of(values) == kind:
        return values
    if kind == "datetime":
        return to_times(values)
    if kind == "string":
        return values.astype(object).map(str, na_action="ignore").where(values.notna(), None)
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers if kind == "number" else numbers.where(numbers.isin((0, 1))).astype("boolean")


def _normal(values: pd.Series) -> pd.Series:
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return values.astype("boolean" if values.isna().any() else "bool")
    if pd.api.types.is_numeric_dtype(dtype):
        return _number(values)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _time(values)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return values.dt.total_seconds()
    return _from_objects(values.astype(object))


def _number(values: pd.Series) -> pd.Series:
    if values.isna().any() or not pd.api.types.is_integer_dtype(values.dtype):
        return values.astype("float64").replace([np.inf, -np.inf], np.nan)
    return values.astype("int64" if values.empty or values.max() <= np.iinfo(np.int64).max else "float64")


def _time(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values, utc=True).astype("datetime64[ns, UTC]")


def _from_objects(values: pd.Series) -> pd.Series:
    known = values.dropna()
    types = set(map(type, known))
    if not types:
        return values.astype("float64")
    if types <= {bool, np.bool_}:
        return values.astype("boolean" if len(known) < len(values) else "bool")
    if bool not in types and all(issubclass(t, (int, float, Decimal, np.number)) for t in types):
        return _number(values.map(float, na_action="ignore") if Decimal in types else pd.to_numeric(values))
    if all(issubclass(t, (date, np.datetime64)) for t in types):
        return _time(values)
    if all(issubclass(t, timedelta) for t in types):
        return pd.to_timedelta(values).dt.total_seconds()
    if (
        str in types and len(types) > 1 and types <= {str, int, float}
    ):  # databases without types and callers mix them: "12", 12
        numbers = pd.to_numeric(known, errors="coerce")
        if numbers.notna().all():
            return _number(numbers.reindex(values.index))
    return _from_strings(values, known)


def _from_strings(values: pd.Series, known: pd.Series) -> pd.Series:
    texts = known.map(str)
    if texts.str.fullmatch(_ISO_DATE).all():
        # apart, because pandas reads a text without a zone in the zone of the text before it
        zoned = texts.str.contains(_ZONE)
        parts = [pd.to_datetime(part, utc=True, errors="coerce", format="ISO8601") for _, part in texts.groupby(zoned)]
        if (parsed := pd.concat(parts)).notna().all():
            return _time(parsed.reindex(values.index))
    result = pd.Series(None, index=values.index, dtype=object)
    result.loc[texts.index] = texts
    return result
