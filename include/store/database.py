"""The factory's tables in one SQL database, SQLite or PostgreSQL, chosen by URI."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from include.specs.errors import FactoryError, TemporarilyUnavailableError
from include.specs.platform import Platform
from include.store.postgres import CLIENT, make_database, watched

METADATA = sa.MetaData()
UNAVAILABLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, TemporarilyUnavailableError)
"""What a database that is away raises; anything else is about the statement or its values."""
BUSY_SECONDS = 30.0
"""How long a process waits for others that write to the same SQLite file."""
_MAKING = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(7306086967035261807)"}
"""What holds the right to make tables until a transaction ends; the number is any that nothing else locks."""
_LOCK = threading.Lock()
_CREATED: set[str] = set()


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware on the way in and out, kept as UTC; SQLite forgets zones, so they are put back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse naive times and convert to UTC."""
        if value is not None and value.tzinfo is None:
            raise FactoryError(f"the time {value} has no zone; give an aware datetime, such as UTC")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return an aware time."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


@lru_cache(maxsize=8)
def _engine(uri: str) -> sa.Engine:
    url = sa.make_url(uri)
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
        )
        event.listen(engine, "connect", _sqlite_pragmas)
        return engine
    if url.get_backend_name() == "postgresql":
        try:
            return watched(sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=CLIENT))
        except ModuleNotFoundError as error:
            raise FactoryError(
                f"database_uri: the driver '{error.name}' is not installed here; write postgresql+psycopg://…"
            ) from error
    raise FactoryError(f"database_uri: '{url.get_backend_name()}' is not supported; use sqlite or postgresql")


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    """Let readers and a writer work side by side, and make a commit survive a loss of power.

    The journal's mode alone is refused at once, whatever the timeout, while another process makes the file.
    """
    cursor = connection.cursor()
    for attempt in Retrying(
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_random(0.005, 0.05),
        retry=retry_if_exception(_is_busy),
        reraise=True,
    ):
        with attempt:
            cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def engine_of(platform: Platform) -> sa.Engine:
    """Return the engine of the factory's database, as `engine_at` does."""
    return engine_at(platform.database_uri.get_secret_value())


def engine_at(uri: str) -> sa.Engine:
    """Return the engine of the database at ``uri``; the database and the tables are there when it returns.

    Raises:
        TemporarilyUnavailableError: the database does not answer.
        FactoryError: the URI names a database that is not supported, or the user may not make what is missing.
    """
    engine = _engine(uri)
    with _LOCK:
        if uri not in _CREATED:
            make_database(uri)
            shown = engine.url.render_as_string(hide_password=True)
            try:
                _create_tables(engine)
            except sa.exc.OperationalError as error:
                raise TemporarilyUnavailableError(
                    f"database {shown} does not answer ({_reason(error)}); start it, or correct its URI"
                ) from error
            except sa.exc.ProgrammingError as error:
                raise FactoryError(
                    f"database {shown}: the factory's tables cannot be made ({_reason(error)}); let this user make "
                    f'them: GRANT CREATE ON SCHEMA public TO "{engine.url.username}"'
                ) from error
            _CREATED.add(uri)
    return engine


def _create_tables(engine: sa.Engine) -> None:
    """Create what is missing, all of it or nothing; processes that do so at the same time wait for each other."""
    if METADATA.tables.keys() <= set(sa.inspect(engine).get_table_names()):
        return
    with engine.begin() as connection:
        connection.exec_driver_sql(_MAKING[engine.dialect.name])
        METADATA.create_all(connection)


def _reason(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]


def upsert(engine: sa.Engine, table: sa.Table) -> Any:
    """Return the dialect's INSERT into ``table``, which knows ON CONFLICT."""
    return (sqlite if engine.dialect.name == "sqlite" else postgresql).insert(table)


def insert_ignore(engine: sa.Engine, table: sa.Table) -> Any:
    """Return an INSERT into ``table`` that leaves rows alone whose key is there: what makes a write idempotent."""
    return upsert(engine, table).on_conflict_do_nothing()
