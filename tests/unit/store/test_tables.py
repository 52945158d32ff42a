"""The factory's tables in SQLite."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from include.specs import FactoryError, Platform, TemporarilyUnavailableError
from include.store.database import engine_at, engine_of
from include.store.routes import Route, RouteStore, Variant
from tests.unit.store.tables_contract import TablesContract, made_at_once


class TestSqlite(TablesContract):
    @pytest.fixture
    def database(self, platform: Platform) -> Platform:
        return platform


def test_processes_that_make_the_tables_at_once_all_succeed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert made_at_once([f"sqlite:///{tmp_path}/{number}.db" for number in range(10)]) == {0}
    assert capfd.readouterr().err == ""


def test_a_file_that_another_process_makes_at_this_moment_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "factory.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE theirs (number)")
    Timer(0.3, lambda: other.execute("COMMIT")).start()
    with engine_at(f"sqlite:///{file}").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert {"theirs", "routes"} <= set(sa.inspect(connection).get_table_names())


def test_a_database_that_is_away_is_told_without_its_password(platform: Platform) -> None:
    away = platform.model_copy(update={"database_uri": SecretStr("postgresql://factory:swordfish@127.0.0.1:9/factory")})
    with pytest.raises(TemporarilyUnavailableError, match=r"127\.0\.0\.1:9") as raised:
        engine_of(away)
    assert "swordfish" not in str(raised.value)


def test_a_driver_that_is_not_installed_is_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    other = platform.model_copy(update={"database_uri": SecretStr("postgresql+psycopg2://me@localhost/factory")})
    with pytest.raises(FactoryError, match=r"'psycopg2' is not installed here; write postgresql\+psycopg://"):
        engine_of(other)


def test_another_kind_of_database_is_refused(platform: Platform) -> None:
    other = platform.model_copy(update={"database_uri": SecretStr("mysql://root@localhost/factory")})
    with pytest.raises(FactoryError, match="use sqlite or postgresql"):
        engine_of(other)


@pytest.mark.parametrize(
    ("variants", "told"),
    [
        ((), "0, not 100"),
        ((Variant("champion", "1", 99),), "99, not 100"),
        ((Variant("champion", "1", 150), Variant("challenger", "2", -50)), "not 100"),
        ((Variant("spy", "1", 100, shadow=True),), "0, not 100"),
        ((Variant("champion", "1", 50), Variant("champion", "2", 50)), "share a name"),
    ],
)
def test_a_route_whose_shares_are_wrong_cannot_be_made(variants: tuple[Variant, ...], told: str) -> None:
    with pytest.raises(FactoryError, match=told):
        Route("churn", variants)


def test_routes_survive_the_process(platform: Platform) -> None:
    route = RouteStore(platform).put(Route("churn", (Variant("champion", "1", 100),)))
    script = (
        "from include.specs import load_platform; from include.store.routes import RouteStore\n"
        "print(RouteStore(load_platform()).get('churn'))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == str(route)
