from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from include.data.sources import open_source
from include.specs import Platform, SpecError, TemporarilyUnavailableError
from tests.integration.conftest import free_port
from tests.unit.data.source_contract import START, frame, spec_of
from tests.unit.data.sql_contract import SqlContract


class TestPostgres(SqlContract):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uri = postgres_uri
        monkeypatch.setenv("SHOP_URI", postgres_uri)

    def place(self) -> dict[str, Any]:
        return {"type": "sql", "uri_env": "SHOP_URI"}

    def test_times_without_a_zone_are_utc_whatever_the_server_thinks(self, platform: Platform) -> None:
        source = self.source(platform, frame().assign(happened=frame()["happened"].dt.tz_localize(None)))
        assert source.latest_event() == START + pd.Timedelta(hours=59)
        assert source.read(start=START + pd.Timedelta(hours=58))["count"].tolist() == [58, 59]

    def test_a_table_of_another_schema(self, platform: Platform) -> None:
        engine = sa.create_engine(self.uri)
        with engine.begin() as connection:
            connection.execute(sa.text('CREATE SCHEMA IF NOT EXISTS "Sales"'))
        frame().to_sql("orders", engine, schema="Sales", index=False, if_exists="replace")
        engine.dispose()
        source = open_source(spec_of({**self.place(), "table": "Sales.orders"}), platform)
        assert len(source.read(start=START + pd.Timedelta(hours=50))) == 10
        with pytest.raises(SpecError, match=r"did you mean 'Sales\.orders'"):
            open_source(spec_of({**self.place(), "table": "Sales.order"}), platform).read()

    def test_exact_numbers_arrays_and_documents(self, platform: Platform) -> None:
        query = "SELECT 1.25::numeric AS price, 'x' AS key, ARRAY[1,2] AS list, '{\"a\": 1}'::jsonb AS doc, 1 AS target"
        read = open_source(spec_of({**self.place(), "query": query}, time=None), platform).read()
        assert read["price"].tolist() == [1.25]
        assert read["list"].tolist() == ["[1, 2]"]

    def test_a_wrong_password_is_said_at_once_and_not_shown(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_URI", self.uri.replace("swordfish", "hunter2"))
        with pytest.raises(SpecError, match=r"password authentication failed") as caught:
            open_source(spec_of({**self.place(), "table": "t"}), platform).read()
        assert "hunter2" not in str(caught.value)

    def test_a_server_that_is_away_is_tried_for_a_while(
        self, platform: Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP_URI", f"postgresql://factory:hunter2@127.0.0.1:{free_port()}/postgres")
        with pytest.raises(TemporarilyUnavailableError, match=r"did not answer for 2 s.*start it") as caught:
            open_source(spec_of({**self.place(), "table": "t"}), platform).read()
        assert "hunter2" not in str(caught.value)
