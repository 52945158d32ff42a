from __future__ import annotations

from pathlib import Path

import pytest

from include.data.sources import open_source
from include.specs import Platform, SpecError
from tests.unit.data.source_contract import frame, spec_of
from tests.unit.data.sql_contract import SqlContract


class TestSqlite(SqlContract):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> None:
        self.uri = f"sqlite:///{tmp_path / 'shop.db'}"


class TestUriFromEnvironment(SqlContract):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uri = f"sqlite:///{tmp_path / 'shop.db'}"
        monkeypatch.setenv("SHOP_URI", self.uri)

    def place(self) -> dict[str, str]:
        return {"type": "sql", "uri_env": "SHOP_URI"}


def error_of(platform: Platform, **source: str) -> str:
    with pytest.raises(SpecError) as caught:
        open_source(spec_of({"type": "sql", "table": "t", **source}), platform).read()
    return str(caught.value)


def test_a_missing_file_is_named_and_not_created(tmp_path: Path, platform: Platform) -> None:
    frame().to_sql("t", f"sqlite:///{tmp_path / 'shop.db'}", index=False)
    assert "did you mean 'shop.db'" in error_of(platform, uri=f"sqlite:///{tmp_path / 'shp.db'}")
    assert [file.name for file in tmp_path.glob("*.db")] == ["shop.db"]


def test_a_file_that_is_no_database(tmp_path: Path, platform: Platform) -> None:
    (tmp_path / "shop.db").write_text("surely no database, " * 100)
    assert "file is not a database" in error_of(platform, uri=f"sqlite:///{tmp_path / 'shop.db'}")


def test_an_unset_variable_is_named(platform: Platform) -> None:
    assert "variable SHOP_URI is not set" in error_of(platform, uri_env="SHOP_URI")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://user:hunter2@nowhere:port/db",
        "hunter2",
        "mysql://user:hunter2@localhost/db",
        "postgresql://user:hunter2@127.0.0.1:1/db",
    ],
)
def test_a_password_is_never_shown(uri: str, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URI", uri)
    with pytest.raises(Exception) as caught:
        open_source(spec_of({"type": "sql", "table": "t", "uri_env": "SHOP_URI"}), platform).read()
    assert "hunter2" not in f"{caught.value!r} {caught.value}"
