"""Read one column as number, boolean, date or text, whatever it was kept as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from include.store.times import Writing, are_dates, times_of, writing_of

if TYPE_CHECKING:
    import pandas as pd

Type = Literal["number", "boolean", "string", "datetime"]

PARSES = 0.95
"""Text is read as numbers (or dates) when more than this share of its values parse; the others are missing."""
_BLANKS = ("", "?", "-", "na", "n/a", "nan", "null", "none")
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:Z|[+-]\d{2}:?\d{2})?)?"
_CODE = r"[+-]?0\d+"
_DIGITS = r"\d{8}"
_FIRST_DIGITS, _LAST_DIGITS = 1900_01_01, 2099_12_31
_SAID: dict[Writing, str] = {
    "day first": "with the day first",
    "month first": "with the month first",
    "year first": "with the year first",
    "month by name": "by the month's name",
    "digits": "as year, month and day",
}
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


@dataclass(frozen=True)
class Parsed:
    """A column after reading.

    Attributes:
        type: what a caller sends for it.
        values: float64, object of bool, object of str, or datetime64[ns, UTC]; missing values as NaN, None or NaT.
        notes: what was done to it that a person should know.
        writing: how times were written, where that was not ISO 8601.
        unreadable: why the column cannot be used at all; empty when it can.
    """

    type: Type
    values: pd.Series
    notes: tuple[str, ...] = ()
    unreadable: str = ""
    writing: Writing | None = None


def parse(column: pd.Series, wanted: Type | None = None, writing: Writing | None = None) -> Parsed:
    """Return ``column`` read as ``wanted``, or as the type that its values show when nothing is wanted.

    Text is read as numbers, dates or true/false when nearly all of it is; codes with leading zeros stay text. A column
    of several types is read as numbers when nearly all values are, else as text.

    Args:
        column: what to read.
        wanted: the type to read it as.
        writing: how times are written in it; found out where it is not known.
    """
    import pandas as pd

    column = _plain(column)
    if wanted == "datetime":
        return _as_time(column, writing)
    if wanted is not None:
        return _READERS[wanted](column)
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "complex":
        return Parsed("string", column, unreadable="holds complex numbers")
    if kind in ("boolean", "empty"):
        return _READERS["boolean" if kind == "boolean" else "string"](column)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return _written(column, "digits") if _holds_digits(column) else _as_number(column)
    if kind in ("datetime64", "datetime", "date"):
        return _as_datetime(column)
    if kind != "string" and holds_objects(column):
        return Parsed("string", column, unreadable="holds lists or objects, not single values")
    return _guess(column)


def _plain(column: pd.Series) -> pd.Series:
    """Return ``column`` with a plain dtype: categories and pandas' nullable types hide what infer_dtype looks for."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype | pd.PeriodDtype):
        return column.astype(object).where(column.notna(), None)
    if isinstance(column.dtype, pd.api.extensions.ExtensionDtype) and not isinstance(column.dtype, pd.DatetimeTZDtype):
        return pd.Series(column.to_numpy(dtype=object, na_value=None), index=column.index).infer_objects()
    return column


def holds_objects(column: pd.Series) -> bool:
    """Tell whether a column holds anything but single values: lists, dictionaries, bytes, objects of a program."""
    from pandas.api.types import is_scalar

    if column.dtype != object:
        return False
    return not all(
        isinstance(value, time | UUID) or (is_scalar(value) and not isinstance(value, bytes)) for value in column
    )


def _guess(column: pd.Series) -> Parsed:
    """Read text, or a mixture of types; each distinct value is looked at once, and counts as often as it occurs."""
    counts = _counts(column)
    counts = counts[~counts.index.str.lower().isin(_BLANKS)]
    words, weights = counts.index.to_series(), counts / counts.sum()
    if words.empty:
        return Parsed("string", column.astype(object).map(lambda _: None))
    if words.str.lower().isin(("true", "false")).all():
        return _as_boolean(column)
    if words.str.fullmatch(_DIGITS).all() and are_dates(words):
        return _written(column, "digits")
    if not words.str.fullmatch(_CODE).any() and weights[_as_number(words).values.notna()].sum() > PARSES:
        return _as_number(column)
    if weights[words.str.fullmatch(_ISO_DATE) & _as_datetime(words).values.notna()].sum() > PARSES:
        return _as_datetime(column)
    if (found := writing_of(words, PARSES)) and weights[times_of(words, found[0]).notna()].sum() > PARSES:
        return _written(column, *found)
    return _as_string(column)


def _counts(column: pd.Series) -> pd.Series:
    """Return how often each text occurs, without the blanks around it; the most frequent one first."""
    if not _all_text(column):  # 1 and True would be taken for the same
        return column.dropna().map(str).str.strip().value_counts()
    counts = column.value_counts(sort=False)
    words = counts.groupby(counts.index.str.strip(), sort=False).sum()
    return words.sort_values(ascending=False, kind="stable")


def _all_text(column: pd.Series) -> bool:
    """Tell whether all values that are known are text."""
    import pandas as pd

    return bool(pd.api.types.infer_dtype(column, skipna=True) == "string")


def _holds_digits(column: pd.Series) -> bool:
    """Tell whether whole numbers are dates as 20241231."""
    import numpy as np
    import pandas as pd

    numbers = column if column.dtype.kind in "iuf" else pd.to_numeric(column, errors="coerce")
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    known = values[~np.isnan(values)]
    if not len(known) or not ((known >= _FIRST_DIGITS) & (known <= _LAST_DIGITS)).all() or (known % 1).any():
        return False
    return are_dates(str(int(value)) for value in np.unique(known))


def _written(column: pd.Series, writing: Writing, told: str = "") -> Parsed:
    """Read times that are written as ``writing``; what is not is missing."""
    values = times_of(column, writing)
    shown = str(column.dropna().iloc[0]).removesuffix(".0")
    note = f"dates written as '{shown}' are read {_SAID[writing]}{told}"
    return Parsed("datetime", values, (note, *_lost(column, values)), writing=writing)


def _as_time(column: pd.Series, writing: Writing | None) -> Parsed:
    """Read a column as times, however they are written."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return _as_datetime(column)
    if writing is not None:
        values = times_of(column, writing)
        return Parsed("datetime", values, _lost(column, values), writing=writing)
    if column.dtype.kind in "iuf" and _holds_digits(column):
        return _written(column, "digits")
    found = _as_datetime(column)
    if column.dtype == object and found.values.notna().sum() <= PARSES * column.notna().sum():
        guessed = _guess(column)
        return guessed if guessed.type == "datetime" else found
    return found


def _as_number(column: pd.Series) -> Parsed:
    import numpy as np
    import pandas as pd

    numbers = column if column.dtype.kind in "iuf" else pd.to_numeric(column, errors="coerce")
    plain = numbers.to_numpy(np.float64, copy=True, na_value=np.nan)
    infinite = np.isinf(plain)
    if numbers is column and not infinite.any():
        return Parsed("number", pd.Series(plain, index=column.index, name=column.name))
    plain[infinite] = np.nan
    values = pd.Series(plain, index=column.index, name=column.name)
    return Parsed("number", values, _lost(column, values))


def _as_boolean(column: pd.Series) -> Parsed:
    import pandas as pd

    missing = column.isna().tolist()
    words = (None if gap else str(value).strip().lower() for value, gap in zip(column, missing, strict=True))
    truths = [None if word is None else _TRUTH.get(word) for word in words]
    values = pd.Series(truths, index=column.index, dtype=object)
    return Parsed("boolean", values, _lost(column, values))


def _as_datetime(column: pd.Series) -> Parsed:
    import pandas as pd

    values = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
    return Parsed("datetime", values, _lost(column, values))


def _as_string(column: pd.Series) -> Parsed:
    import pandas as pd

    values = column.astype(object)
    if not _all_text(column):
        values = column.map(str, na_action="ignore").astype(object)
    return Parsed("string", pd.Series(values.where(values.notna(), None), dtype=object))


def _lost(column: pd.Series, values: pd.Series) -> tuple[str, ...]:
    """Return a note on the values that were there and are missing now."""
    lost = column[column.notna() & values.isna()]
    if lost.empty:
        return ()
    shown = ", ".join(repr(value) for value in list(dict.fromkeys(lost.map(str)))[:3])
    return (f"{len(lost)} of {len(column)} values read as missing ({shown})",)


_READERS: dict[str, Callable[[pd.Series], Parsed]] = {
    "number": _as_number,
    "boolean": _as_boolean,
    "string": _as_string,
    "datetime": _as_datetime,
}
