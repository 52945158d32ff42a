"""What sources in an SQL database pass beyond `SourceContract`."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from include.data.sources import open_source
from include.specs import Platform, SpecError
from tests.unit.data.source_contract import START, SourceContract, frame, spec_of


class SqlContract(SourceContract):
    """A table; ``uri`` names the database for writing."""

    uri: str

    def place(self) -> dict[str, Any]:
        """Return the part of ``data.source`` that names the database."""
        return {"type": "sql", "uri": self.uri}

    def store(self, rows: pd.DataFrame) -> dict[str, Any]:
        engine = sa.create_engine(self.uri)
        rows.to_sql("Subscriber Table", engine, index=False, if_exists="replace")
        engine.dispose()
        return {**self.place(), "table": "Subscriber Table"}

    def missing(self) -> tuple[dict[str, Any], str]:
        return {**self.place(), "table": "subscriber table"}, "Subscriber Table"

    def test_a_query_is_read_through_its_window(self, platform: Platform) -> None:
        self.store(frame())
        query = """SELECT *, ':not_a_bind' AS "odd %s" FROM "Subscriber Table" WHERE "text" LIKE 'p%' -- ours;"""
        source = open_source(spec_of({**self.place(), "query": query + "\n;"}), platform)
        read = source.read(START + pd.Timedelta(hours=4), START + pd.Timedelta(hours=30))
        assert read["count"].tolist() == [4, 8, 12, 16, 24, 28]
        assert set(read["odd %s"]) == {":not_a_bind"}

    def test_the_window_is_left_to_the_database(self, platform: Platform) -> None:
        source = self.source(platform)
        loaded = source._load(START + pd.Timedelta(hours=50), START + pd.Timedelta(hours=55))
        assert len(loaded) <= 7

    def test_a_query_with_an_error_says_what_the_database_said(self, platform: Platform) -> None:
        self.store(frame())
        source = {**self.place(), "query": 'SELECT nothing_here FROM "Subscriber Table"'}
        with pytest.raises(SpecError, match=r"data.source.query: .*nothing_here"):
            open_source(spec_of(source), platform).read()

    def test_a_query_cannot_write(self, platform: Platform) -> None:
        self.store(frame())
        for statement in ('DELETE FROM "Subscriber Table"', 'SELECT 1) AS x; DELETE FROM "Subscriber Table"; --'):
            with pytest.raises(SpecError):
                open_source(spec_of({**self.place(), "query": statement}, time=None), platform).read()
        assert len(self.source(platform, None).read()) == 60

    def test_two_columns_of_one_name_are_refused(self, platform: Platform) -> None:
        self.store(frame())
        source = {**self.place(), "query": 'SELECT *, "count" FROM "Subscriber Table"'}
        with pytest.raises(SpecError, match=r"column 'count' more than once"):
            open_source(spec_of(source), platform).read()

    def test_times_kept_as_text(self, platform: Platform) -> None:
        texts = frame()["happened"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        source = self.source(platform, frame().assign(happened=texts))
        assert source.read(start=START + pd.Timedelta(hours=57))["count"].tolist() == [57, 58, 59]
        assert source.latest_event() == START + pd.Timedelta(hours=59)

    def test_dates_without_a_time_of_day(self, platform: Platform) -> None:
        days = pd.date_range("2025-01-01", periods=60).date
        source = self.source(platform, frame().assign(happened=days))
        read = source.read(pd.Timestamp("2025-01-03", tz="UTC"), pd.Timestamp("2025-01-05", tz="UTC"))
        assert read["count"].tolist() == [2, 3]
