"""How MLflow's container starts: what it says when a variable is missing, and where the database's password goes."""

from __future__ import annotations

import configparser
import os
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest

from include.specs import ROOT

STORES = {"MLFLOW_BACKEND_STORE_URI": "postgresql://db/mlflow", "MLFLOW_ARTIFACTS_DESTINATION": "s3://bucket/mlflow"}
AUTH = {
    "MLFLOW_AUTH_DATABASE_URI": "postgresql://mlflow:p%40ss@db/auth", "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "long-enough-1", "MLFLOW_FLASK_SERVER_SECRET_KEY": "key",
}  # fmt: skip


def started(monkeypatch: pytest.MonkeyPatch, home: Path, environment: dict[str, str]) -> list[str]:
    """Return the command that the container would become."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    for name, value in {**environment, "HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", "")  # it sets this itself: no other test may inherit it
    became: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda _file, command: became.append(command))
    monkeypatch.setattr("sys.argv", ["server.py", "--workers", "2"])
    runpy.run_path(str(ROOT / "docker/mlflow/server.py"), run_name="__main__")
    return list(became[0])


def test_it_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="MLFLOW_BACKEND_STORE_URI, MLFLOW_ARTIFACTS_DESTINATION not set"):
        started(monkeypatch, tmp_path, {})
    with pytest.raises(SystemExit, match="MLFLOW_AUTH_ADMIN_PASSWORD"):
        started(monkeypatch, tmp_path, {**STORES, **AUTH, "MLFLOW_AUTH_ADMIN_PASSWORD": ""})


def test_the_password_is_in_a_private_file_and_on_no_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = started(monkeypatch, tmp_path, {**STORES, **AUTH})
    assert command[1:] == ["-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "2"]
    file = Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    config = configparser.ConfigParser()
    config.read(file)
    assert config.get("mlflow", "database_uri") == AUTH["MLFLOW_AUTH_DATABASE_URI"]


def test_without_a_table_of_users_it_asks_for_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "--app-name" not in started(monkeypatch, tmp_path, STORES)
