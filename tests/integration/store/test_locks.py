"""One process at a time: over a file, and over a real PostgreSQL among processes that share no folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from include.specs import Platform, TemporarilyUnavailableError
from include.store.database import engine_at
from include.store.locks import exclusive
from tests.integration.conftest import free_port

HOLD = """
import sys, time
from include.specs import load_platform
from include.store.database import engine_at
from include.store.locks import exclusive
with exclusive(load_platform(), "one.step"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(monkeypatch: pytest.MonkeyPatch, home: Path, uri: str) -> subprocess.Popen[str]:
    monkeypatch.setenv("FACTORY_HOME", str(home))
    monkeypatch.setenv("FACTORY_DATABASE_URI", uri)
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_holder_frees_it_and_others_wait_until_then(
    kind: str, request: pytest.FixtureRequest, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "sqlite":
        uri, elsewhere = platform.database_uri.get_secret_value(), platform.home
    else:
        uri, elsewhere = request.getfixturevalue("postgres_uri"), tmp_path / "another machine"
    mine = platform.model_copy(update={"database_uri": SecretStr(uri)})
    process = holder(monkeypatch, elsewhere, uri)
    try:
        with exclusive(mine, "another.step"):
            pass  # is free
        began = time.monotonic()
        killer = subprocess.Popen([sys.executable, "-c", f"import time,os;time.sleep(2);os.kill({process.pid},9)"])
        with exclusive(mine, "one.step"):
            assert 1.5 < time.monotonic() - began < 30
        killer.wait()
        assert process.wait() == -signal.SIGKILL
        with exclusive(mine, "one.step"):
            pass  # it was freed by this process too
    finally:
        process.kill()


def test_a_database_that_is_away_is_told(platform: Platform) -> None:
    uri = f"postgresql://factory:hunter2@127.0.0.1:{free_port()}/factory"
    away = platform.model_copy(update={"database_uri": SecretStr(uri), "service_retry_seconds": 1.0})
    with pytest.raises(TemporarilyUnavailableError, match="FACTORY_DATABASE_URI") as told, exclusive(away, "x"):
        pass
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_server_soon_notices_that_the_machine_of_a_holder_is_gone(postgres_uri: str, driver: str) -> None:
    engine = engine_at(postgres_uri.replace("postgresql", f"postgresql+{driver}", 1))
    with engine.connect() as connection:
        found = {name: connection.exec_driver_sql(f"SHOW tcp_keepalives_{name}").scalar() for name in ("idle", "count")}
    assert found == {"idle": "30", "count": "3"}, "two hours, by default"
