"""Times as people write them: each is read as what it says, and nothing else is taken for a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from include.store.times import are_dates, time_of, times_of, writing_of

NOON = datetime(2024, 12, 31, 12, 30, tzinfo=UTC)
DAY = datetime(2024, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "writing", "time"),
    [
        ("31/12/2024", "day first", DAY),
        ("31.12.2024", "day first", DAY),
        ("31-12-24", "day first", DAY),
        (" 31/12/2024 12:30 ", "day first", NOON),
        ("1/2/24", "day first", datetime(2024, 2, 1, tzinfo=UTC)),
        ("1/2/69", "day first", datetime(1969, 2, 1, tzinfo=UTC)),
        ("12/31/2024 12:30:00 PM", "month first", NOON),
        ("12/31/2024 12:30 am", "month first", datetime(2024, 12, 31, 0, 30, tzinfo=UTC)),
        ("2024/12/31 14:30+02:00", "year first", NOON),
        ("2024.12.31", "year first", DAY),
        ("Dec 31, 2024", "month by name", DAY),
        ("December 31 2024 12:30", "month by name", NOON),
        ("31 Dec 2024", "month by name", DAY),
        ("31-DEC-24", "month by name", DAY),
        ("31st December, 2024", "month by name", DAY),
        ("Sept. 5, 2024", "month by name", datetime(2024, 9, 5, tzinfo=UTC)),
        ("20241231", "digits", DAY),
        (20241231, "digits", DAY),
        (20241231.0, "digits", DAY),
        ("2024-12-31T12:30:00Z", "day first", NOON),
        ("2024-12-31", "digits", DAY),
        ("2024-12-31 12:30:00.25", "month by name", NOON.replace(microsecond=250_000)),
        ("31/12/2024", "month first", None),
        ("12/31/2024", "day first", None),
        ("31/02/2024", "day first", None),
        ("31/12.2024", "day first", None),
        ("2.10.14", "day first", None),
        ("10.1.2.3", "day first", None),
        ("12/31/2024 25:00", "month first", None),
        ("12/31/2024 13:00 PM", "month first", None),
        ("1/1/1500", "day first", None),
        ("Foo 31, 2024", "month by name", None),
        ("20241331", "digits", None),
        (20241231.5, "digits", None),
        (True, "digits", None),
        (float("nan"), "digits", None),
        (float("inf"), "digits", None),
        (None, "day first", None),
        ([1], "day first", None),
        ("", "day first", None),
    ],
)
def test_a_text_is_read_as_what_it_says(text: Any, writing: Any, time: datetime | None) -> None:
    assert time_of(text, writing) == time


def test_the_data_tell_day_from_month() -> None:
    days = [f"{day:02}/{month:02}/2024" for day in range(1, 29) for month in range(1, 13)]
    turned = [f"{text[3:5]}/{text[:2]}{text[5:]}" for text in days]
    assert writing_of(days, 0.95) == ("day first", "")
    assert writing_of(turned, 0.95) == ("month first", "")
    found = writing_of([text for text in days if int(text[:2]) <= 12], 0.95)
    assert found is not None and found[0] == "day first" and "no value tells day from month" in found[1]
    assert writing_of(["Dec 31, 2024", "1 Jan 2025"], 0.95) == ("month by name", "")
    assert writing_of(["2024/12/31"], 0.95) == ("year first", "")


@pytest.mark.parametrize(
    "texts",
    [[], ["red", "blue"], ["1.2.3", "10.4.21"], ["1/2", "3/4"], ["555-1234"], ["may", "march"], ["10.0.0.1"],
     ["31/12/2024"] * 3 + [f"word {number}" for number in range(30)]],
)  # fmt: skip
def test_what_is_no_date_is_none(texts: list[str]) -> None:
    assert writing_of(texts, 0.95) is None


def test_numbers_are_dates_only_when_all_of_many_are() -> None:
    days = pd.date_range("2024-01-25", periods=12).strftime("%Y%m%d").tolist()
    assert are_dates(days)
    assert not are_dates(days[:9])
    assert not are_dates([*days, "20240230"])
    assert not are_dates([*days, "25240101"])


def test_a_column_keeps_its_index_and_loses_what_cannot_be_read() -> None:
    column = pd.Series(["31/12/2024", None, "soon", "2024-12-31"], index=[3, 1, 4, 5])
    found = times_of(column, "day first")
    assert found.dtype == "datetime64[ns, UTC]" and found.index.tolist() == [3, 1, 4, 5]
    assert found.isna().tolist() == [False, True, True, False]
    pd.testing.assert_series_equal(times_of(found, "day first"), found)
    assert times_of(pd.Series([None, None]), "digits").isna().all()
