"""Times that are written as text in other ways than ISO 8601: found out once in training, read alike when served."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Writing = Literal["day first", "month first", "year first", "month by name", "digits"]
"""``31/12/2024``, ``12/31/2024``, ``2024/12/31``, ``Dec 31, 2024`` or ``31 December 2024``, ``20241231``."""
FIRST, LAST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""What a datetime64[ns] can hold, in whole years."""
LEAST_OF_DIGITS = 10
"""Distinct numbers, all of them dates of `_PLAUSIBLE` years, from which they are dates: not by chance any more."""
_PLAUSIBLE = (1900, 2100)
_GLANCE = 200
"""Texts that are looked at before all are."""
_PIVOT = 69
"""Years of two digits from here on are of the last century, as POSIX has it."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = (*_MONTHS, "sept", "january", "february", "march", "april", "june", "july", "august", "september", "october",
          "november", "december")  # fmt: skip
_MONTH = "(?P<name>" + "|".join(sorted(_NAMES, key=len, reverse=True)) + r")\.?"
_CLOCK = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[ap]m))?(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}))?)?"
)
_TWO = r"(?P<{0}>\d{{1,2}})(?P<sign>[/.-])(?P<{1}>\d{{1,2}})(?P=sign)(?P<year>\d{{4}}|\d{{2}})"


def _pattern(*dates: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(date + _CLOCK, re.IGNORECASE) for date in dates)


_PATTERNS: dict[Writing, tuple[re.Pattern[str], ...]] = {
    "day first": _pattern(_TWO.format("day", "month")),
    "month first": _pattern(_TWO.format("month", "day")),
    "year first": _pattern(r"(?P<year>\d{4})(?P<sign>[/.-])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})"),
    "month by name": _pattern(
        _MONTH + r"\s*(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s./-]?\s*" + _MONTH + r"[\s./,-]\s*(?P<year>\d{4}|\d{2})",
    ),
    "digits": _pattern(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"),
}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?\s?(?:Z|[+-]\d{2}:?\d{2})?)?")


def time_of(value: Any, writing: Writing) -> datetime | None:
    """Return a time that is written as ``writing`` or in ISO 8601, aware, in UTC where it names no zone; else None.

    Args:
        value: text; for ``digits`` a whole number too.
        writing: how.
    """
    if writing == "digits" and isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        value = str(int(value))
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        if _ISO.fullmatch(text):
            return _in_range(datetime.fromisoformat(text))
        found = next(filter(None, (pattern.fullmatch(text) for pattern in _PATTERNS[writing])), None)
        return None if found is None else _in_range(_made(found.groupdict()))
    except (ValueError, OverflowError):
        return None


def times_of(values: pd.Series, writing: Writing) -> pd.Series:
    """Return a column as datetime64[ns, UTC]; what is not written so is missing. Each distinct value is read once."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return pd.to_datetime(values, utc=True).astype("datetime64[ns, UTC]")
    plain = {value: value.item() if hasattr(value, "item") else value for value in values[values.notna()].unique()}
    read = {value: time_of(one, writing) for value, one in plain.items()}
    times = [read.get(value) if there else None for value, there in zip(values, values.notna(), strict=True)]
    found = pd.to_datetime(pd.Series(times, index=values.index, dtype=object), utc=True)
    return found.astype("datetime64[ns, UTC]")


def writing_of(texts: Iterable[str], share: float) -> tuple[Writing, str] | None:
    """Return how dates are written in more than ``share`` of the distinct ``texts``, and a remark for a person.

    Where some days lie beyond 12 they tell day from month; where none does, the day is taken to come first.
    """
    distinct = list(dict.fromkeys(texts))
    some = distinct[:: len(distinct) // _GLANCE + 1]
    if not some or max(len(_read(some, writing)) for writing in _PATTERNS) <= share * share * len(some):
        return None  # most texts are told by a glance
    first, second = (_read(distinct, order) for order in ("day first", "month first"))
    if max(len(first), len(second)) > share * len(distinct):
        only_first, only_second = len(first - second), len(second - first)
        writing: Writing = "month first" if only_second > only_first else "day first"
        told = "" if only_first or only_second else (
            "; no value tells day from month, so the day is taken to come first: write them year first (2026-03-31) "
            "to be sure"
        )  # fmt: skip
        return writing, told
    for other in ("year first", "month by name"):
        if len(_read(distinct, other)) > share * len(distinct):
            return other, ""
    return None


def are_dates(digits: Iterable[str]) -> bool:
    """Tell whether numbers are dates as ``20241231``: every one, of many, and of years that people keep dates of."""
    first, last = _PLAUSIBLE
    distinct: set[str] = set()
    for text in digits:
        if text in distinct:
            continue
        time = time_of(text, "digits")
        if time is None or not first <= time.year < last:
            return False
        distinct.add(text)
    return len(distinct) >= LEAST_OF_DIGITS


def _read(texts: Iterable[str], writing: Writing) -> set[str]:
    return {text for text in texts if time_of(text, writing) is not None}


def _made(parts: dict[str, str | None]) -> datetime:
    """Return the time of a match.

    Raises:
        ValueError: there is no such day or hour.
    """
    year, sign = str(parts["year"]), parts.get("sign")
    month, day = parts.get("month"), str(parts["day"])
    if len(year) == 2:
        if sign in (".", "-") and len(f"{month}{day}") < 4:
            raise ValueError("a version number, more likely")
        year = f"{19 if int(year) >= _PIVOT else 20}{year}"
    number = int(month) if month else _MONTHS.index(str(parts["name"])[:3].lower()) + 1
    hour = int(parts["hour"] or 0)
    if half := (parts["half"] or "").lower():
        if not 1 <= hour <= 12:
            raise ValueError("no hour of half a day")
        hour = hour % 12 + (12 if half == "pm" else 0)
    fraction = (parts["fraction"] or "")[:6].ljust(6, "0")
    return datetime(
        int(year), number, int(day), hour, int(parts["minute"] or 0), int(parts["second"] or 0), int(fraction),
        _zone(parts["zone"] or "Z"),
    )  # fmt: skip


def _zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _in_range(time: datetime) -> datetime | None:
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return aware if FIRST <= aware < LAST else None
