"""Databases of a real PostgreSQL that are missing, or that a user may not make."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from include.automl.storage import open_storage
from include.specs import FactoryError, Platform, TemporarilyUnavailableError
from include.store.database import engine_of
from include.store.postgres import database_exists, make_database
from include.store.signals import SignalStore
from tests.integration.conftest import free_port
from tests.unit.store.tables_contract import made_at_once


@pytest.fixture
def missing(postgres_uri: str) -> str:
    """Return the URI of a database that is not there; its name needs quotes."""
    return sa.make_url(postgres_uri).set(database=f"Fresh-{uuid.uuid4().hex[:8]}").render_as_string(hide_password=False)


@pytest.fixture
def stranger(postgres_uri: str) -> sa.URL:
    """Return the URI of the server for a user without rights."""
    name, engine = f"u{uuid.uuid4().hex[:8]}", sa.create_engine(postgres_uri, poolclass=sa.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"CREATE USER {name} PASSWORD 'hunter2'"))
        connection.execute(sa.text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    return sa.make_url(postgres_uri).set(username=name, password="hunter2")


def test_a_missing_database_is_made_at_the_first_use(platform: Platform, missing: str) -> None:
    assert not database_exists(missing)
    used = platform.model_copy(update={"database_uri": SecretStr(missing)})
    assert SignalStore(used).windows("churn") == []
    assert database_exists(missing) and not make_database(missing)
    other = sa.make_url(missing).set(database=f"Optuna-{uuid.uuid4().hex[:8]}").render_as_string(hide_password=False)
    assert open_storage(other).get_all_studies() == []


def test_processes_that_make_databases_and_tables_at_once_all_succeed(
    missing: str, capfd: pytest.CaptureFixture[str]
) -> None:
    url = sa.make_url(missing)
    names = [url.set(database=f"{url.database}-{number}") for number in range(5)]
    assert made_at_once([name.render_as_string(hide_password=False) for name in names]) == {0}
    assert capfd.readouterr().err == ""


def test_missing_rights_are_told_with_what_to_do(platform: Platform, missing: str, stranger: sa.URL) -> None:
    fresh = stranger.set(database=sa.make_url(missing).database).render_as_string(hide_password=False)
    with pytest.raises(FactoryError, match="CREATE DATABASE") as refused:
        make_database(fresh)
    assert "hunter2" not in str(refused.value) and str(stranger.username) in str(refused.value)
    there = sa.create_engine(stranger)
    make_database(missing)
    empty = there.url.set(database=sa.make_url(missing).database).render_as_string(hide_password=False)
    with pytest.raises(FactoryError, match="GRANT CREATE ON SCHEMA public") as refused:
        engine_of(platform.model_copy(update={"database_uri": SecretStr(empty)}))
    assert "hunter2" not in str(refused.value)


def test_a_server_that_is_away_and_a_wrong_password_are_told(postgres_uri: str) -> None:
    url = sa.make_url(postgres_uri)
    for wrong in (url.set(port=free_port()), url.set(password="hunter2")):
        with pytest.raises(TemporarilyUnavailableError, match="start it, or correct its URI") as told:
            make_database(wrong.render_as_string(hide_password=False))
        assert "hunter2" not in str(told.value) and "swordfish" not in str(told.value)
