"""Calendar parts of times, as numbers: for training, and in the same way for a single row that is served."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

DATE_PARTS = ("days", "month", "day", "weekday", "hour", "year_sin", "year_cos")
"""Days since 1970-01-01, calendar month, day of the month, weekday (Monday 0), hour, and the position in the year."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = EPOCH.toordinal()
_YEAR_START = {year: date(year, 1, 1).toordinal() - _EPOCH_DAY for year in range(1677, 2263)}
"""Days from 1970 to the start of each year that a datetime64[ns] can hold."""
_DAY = 86_400 * 10**9
_HOUR = 3_600 * 10**9
_ANGLES = 2 * np.pi * np.arange(366) / 365.2425
_SIN, _COS = np.sin(_ANGLES), np.cos(_ANGLES)
"""By day of the year, the first one 0."""
_CIRCLE: list[tuple[float, float]] = list(zip(_SIN.tolist(), _COS.tolist(), strict=True))


def date_parts(times: Array) -> Array:
    """Return `DATE_PARTS` of datetime64[ns] ``times`` (UTC), shape (rows, parts); NaN where a time is missing."""
    known = ~np.isnat(times)
    times = np.where(known, times, np.datetime64(0, "ns"))
    days, months, years = (times.astype(f"datetime64[{unit}]") for unit in "DMY")
    ordinal = days.astype(np.int64)
    day_of_year = (days - years.astype("datetime64[D]")).astype(np.int64)
    nanoseconds = times.astype(np.int64)
    parts = np.column_stack(
        [
            nanoseconds / _DAY,
            months.astype(np.int64) % 12 + 1,
            (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
            (ordinal + 3) % 7,  # 1970-01-01 was a Thursday
            (nanoseconds - ordinal * _DAY) // _HOUR,
            _SIN[day_of_year],
            _COS[day_of_year],
        ]
    )
    parts[~known] = np.nan
    return parts


def nanoseconds_of(time: datetime) -> int:
    """Return the nanoseconds from 1970 to an aware time."""
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


def date_parts_of(time: datetime) -> tuple[float, ...]:
    """Return `DATE_PARTS` of one aware time: what `date_parts` gives, without arrays."""
    since = time - EPOCH
    days, seconds = since.days, since.seconds
    nanoseconds = (days * 86_400 + seconds) * 10**9 + since.microseconds * 1_000
    day = date.fromordinal(_EPOCH_DAY + days)
    sin, cos = _CIRCLE[days - _YEAR_START[day.year]]
    return (
        float(nanoseconds) / _DAY,  # as a float first: that is how numpy divides
        day.month,
        day.day,
        (days + 3) % 7,
        seconds // 3_600,
        sin,
        cos,
    )
