"""The prediction log into SQLite or PostgreSQL, by the fastest way that each has for many small rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import msgspec
import sqlalchemy as sa

from include.store.database import engine_at, insert_ignore
from include.store.log_records import LABELS, PREDICTIONS, REWARDS, LabelRecord, PredictionRecord, Record, RewardRecord
from include.store.log_sink import RefusedError, Sink

Row = tuple[Any, ...]
FIELD_END, ROW_END = "\x1f", "\x1e"
"""Control characters that no valid JSON text and no valid id holds."""
ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), (FIELD_END, "\t"), (ROW_END, "\n"))
"""From rows to PostgreSQL's text format of COPY."""


class SqlSink(Sink):
    """Writes rows past SQLAlchemy's types: text, numbers and times are already in the form that the driver wants."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def commit(self, records: Sequence[Record]) -> None:
        """Insert ``records`` in one transaction; rows whose key is there are left alone."""
        engine = engine_at(self._uri)
        kinds: tuple[tuple[sa.Table, type[Any], Callable[[Any], Row]], ...] = (
            (PREDICTIONS, PredictionRecord, _prediction),
            (LABELS, LabelRecord, _label),
            (REWARDS, RewardRecord, _reward),
        )
        insert = _insert_sqlite if engine.dialect.name == "sqlite" else _copy_postgresql
        try:
            with engine.begin() as connection:
                for table, kind, row_of in kinds:
                    if rows := [row_of(record) for record in records if isinstance(record, kind)]:
                        insert(connection, table, rows)
        except (sa.exc.DataError, sa.exc.IntegrityError, ValueError) as error:
            raise RefusedError(f"refused by the database ({type(error).__name__})") from error

    def close(self) -> None:
        """Close the connections."""
        engine_at(self._uri).dispose()


def _prediction(record: PredictionRecord) -> Row:
    return (
        record.model, record.id, record.version, record.variant, _utc(record.event_time), _utc(record.served_at),
        str(record.features, "utf-8", "replace"), str(record.output, "utf-8", "replace"), record.latency_ms,
    )  # fmt: skip


def _label(record: LabelRecord) -> Row:
    return record.model, record.id, msgspec.json.encode(record.label).decode(), _utc(record.observed_at)


def _reward(record: RewardRecord) -> Row:
    return record.model, record.id, record.name, record.reward, _utc(record.observed_at)


def _utc(time: datetime) -> str:
    """Return ``time`` as SQLAlchemy writes it into SQLite: in UTC, which is not said."""
    if time.tzinfo is not UTC:
        if time.tzinfo is None:
            raise RefusedError("a time has no zone; give an aware datetime, such as UTC")
        time = time.astimezone(UTC)
    return time.replace(tzinfo=None).isoformat(" ", "microseconds")


def _insert_sqlite(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    statement = insert_ignore(connection.engine, table).compile(connection.engine)
    connection.exec_driver_sql(str(statement), rows)


def _copy_postgresql(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    """Copy ``rows`` into ``table``, where a key is there already by way of a temporary table, which costs more."""
    text = _copy_text(table, rows)
    connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
    try:
        with connection.begin_nested():
            _copy(connection, table.name, table, text)
    except sa.exc.IntegrityError:
        incoming, columns = f"incoming_{table.name}", ", ".join(table.c.keys())
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} (LIKE {table.name}) ON COMMIT DELETE ROWS"
        )
        _copy(connection, incoming, table, text)
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {incoming} ON CONFLICT DO NOTHING"  # noqa: S608
        )


def _copy_text(table: sa.Table, rows: list[Row]) -> str:
    """Return ``rows`` in the text format of COPY."""
    text = ROW_END.join([FIELD_END.join(map(str, row)) for row in rows])
    if text.count(FIELD_END) != (len(table.c) - 1) * len(rows) or text.count(ROW_END) != len(rows) - 1:
        raise ValueError("an id or a name holds a control character")
    for special, written in ESCAPES:
        text = text.replace(special, written)
    return text


def _copy(connection: sa.Connection, target: str, table: sa.Table, text: str) -> None:
    """Send ``text`` after a COPY, as psycopg 3 does it, or psycopg2; errors are SQLAlchemy's."""
    statement = f"COPY {target} ({', '.join(table.c.keys())}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    try:
        with driver.cursor() as cursor:
            if hasattr(cursor, "copy_expert"):
                cursor.copy_expert(statement, StringIO(text))
            else:
                with cursor.copy(statement) as copy:
                    copy.write(text)
    except dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError.instance(None, None, error, dialect.loaded_dbapi.Error, dialect=dialect) from error
