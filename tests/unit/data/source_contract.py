"""The contract of a source: what every implementation passes. Inherit from `SourceContract` and give it a place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.data.source import Source
from include.data.sources import open_source
from include.specs import ModelSpec, Platform, SpecError

START = datetime(2025, 3, 30, tzinfo=UTC)
"""The night in which Central European clocks change."""


def frame(rows: int = 60) -> pd.DataFrame:
    """Return one row an hour, with every kind of column and missing values in most of them."""
    numbers = np.arange(rows)
    texts = np.array(["plain", 'with "quotes", and commas', "grün ✓", "select * from x; --"], dtype=object)[numbers % 4]
    return pd.DataFrame(
        {
            "key": [f"k{number:03d}" for number in numbers],
            "happened": pd.date_range(START, periods=rows, freq="h"),
            "count": numbers,
            "Amount": np.where(numbers % 7 == 0, np.nan, numbers / 3),
            "flag": numbers % 2 == 0,
            "text": np.where(numbers % 5 == 0, None, texts),
            "target": (numbers % 3 == 0).astype("int64"),
        }
    )


def spec_of(source: dict[str, Any], time: str | None = "happened", **parts: Any) -> ModelSpec:
    """Return a binary model over ``source``."""
    data = {"source": source, "id": "key", "time": time} | parts.pop("data", {})
    problem = {"type": "binary", "target": "target"}
    return ModelSpec.model_validate({"name": "demo", "owner": "tests", "data": data, "problem": problem} | parts)


class SourceContract(ABC):
    """Tests that every source passes."""

    @abstractmethod
    def store(self, rows: pd.DataFrame) -> dict[str, Any]:
        """Keep ``rows`` where the source reads, and return the ``data.source`` part of a spec that names them."""

    @abstractmethod
    def missing(self) -> tuple[dict[str, Any], str]:
        """Return a ``data.source`` that names nothing, misspelt, and the right spelling that the error must offer."""

    def source(self, platform: Platform, rows: pd.DataFrame | None = None, **options: Any) -> Source:
        return open_source(spec_of(self.store(frame() if rows is None else rows), **options), platform)

    def test_columns_have_their_kinds(self, platform: Platform) -> None:
        assert self.source(platform).columns() == {
            "key": "string",
            "happened": "datetime",
            "count": "number",
            "Amount": "number",
            "flag": "boolean",
            "text": "string",
            "target": "number",
        }

    def test_rows_come_back_as_they_were_kept(self, platform: Platform) -> None:
        read = self.source(platform).read()
        pd.testing.assert_frame_equal(read[list(frame())], frame(), check_exact=True)

    def test_the_window_is_half_open_and_exact(self, platform: Platform) -> None:
        read = self.source(platform).read(START + timedelta(hours=10), START + timedelta(hours=20))
        assert read["count"].tolist() == list(range(10, 20))

    def test_one_side_of_the_window_may_be_open(self, platform: Platform) -> None:
        source = self.source(platform)
        assert source.read(start=START + timedelta(hours=55))["count"].tolist() == [55, 56, 57, 58, 59]
        assert source.read(end=START + timedelta(hours=2))["count"].tolist() == [0, 1]

    def test_the_window_is_that_of_an_instant_whatever_its_zone(self, platform: Platform) -> None:
        from datetime import timezone

        start = (START + timedelta(hours=57)).astimezone(timezone(timedelta(hours=-9, minutes=-30)))
        assert self.source(platform).read(start=start)["count"].tolist() == [57, 58, 59]

    def test_the_latest_event(self, platform: Platform) -> None:
        assert self.source(platform).latest_event() == START + timedelta(hours=59)

    def test_without_a_time_column_there_is_no_latest_event_and_no_window(self, platform: Platform) -> None:
        source = self.source(platform, time=None)
        assert source.latest_event() is None
        with pytest.raises(SpecError, match=r"data\.time"):
            source.read(start=START)

    def test_a_sample_is_not_longer_than_asked(self, platform: Platform) -> None:
        assert len(self.source(platform).sample(7)) == 7

    def test_reading_twice_gives_the_same(self, platform: Platform) -> None:
        source = self.source(platform)
        pd.testing.assert_frame_equal(source.read(), source.read())

    def test_no_rows_is_an_error(self, platform: Platform) -> None:
        with pytest.raises(SpecError, match=r"holds no rows"):
            self.source(platform, frame().iloc[:0]).read()

    def test_an_empty_window_is_an_error_that_says_when_the_data_ends(self, platform: Platform) -> None:
        with pytest.raises(SpecError, match=r"its latest event is of 2025-04-01 11:00"):
            self.source(platform).read(start=START + timedelta(days=30))

    def test_a_missing_place_is_an_error_with_the_nearest_spelling(self, platform: Platform) -> None:
        self.store(frame())
        source, hint = self.missing()
        with pytest.raises(SpecError, match=r"data\.source") as caught:
            open_source(spec_of(source), platform).read()
        assert f"did you mean '{hint}'" in str(caught.value)

    def test_a_missing_time_column_is_an_error_with_the_nearest_one(self, platform: Platform) -> None:
        source = self.source(platform, time="hapened")
        for call in (source.read, source.latest_event):
            with pytest.raises(SpecError, match=r"no column 'hapened'.*did you mean 'happened'"):
                call()

    def test_times_that_are_none_are_an_error_that_shows_them(self, platform: Platform) -> None:
        rows = frame().assign(happened=["soon" if n == 3 else f"2025-01-01T{n % 24:02d}:00" for n in range(60)])
        with pytest.raises(SpecError, match=r"data.time: .*'soon'"):
            self.source(platform, rows).read()

    def test_numbers_are_not_taken_for_times(self, platform: Platform) -> None:
        with pytest.raises(SpecError, match=r"data.time: .*no time"):
            self.source(platform, time="count").read()
