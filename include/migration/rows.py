"""SQL tables, row by row from one database into another of the same tables: keys and numbers stay what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from include.migration.part import Count
from include.store.database import insert_ignore
from include.store.postgres import database_exists

_AT_ONCE = 500
Row = dict[str, Any]
Change = Callable[[str, Row], Row]
"""Takes a table's name and a row, and returns the row as it is to be in the target."""


def unchanged(_table: str, row: Row) -> Row:
    """Return the row as it is."""
    return row


class Tables:
    """Tables of two databases.

    Args:
        source: the database that is read.
        target: the database that is written.
        tables: what is moved; parents before children.
        change: what becomes of a row on its way.
    """

    def __init__(
        self, source: sa.Engine, target: sa.Engine, tables: Sequence[sa.Table], change: Change = unchanged
    ) -> None:
        self._source, self._target, self._tables, self._change = source, target, tables, change

    def copy(self) -> None:
        """Insert the rows whose key is not there, a batch a transaction, and let the next number follow the highest."""
        for table in self._tables:
            for batch in _batches(self._rows(self._source, table, self._change)):
                with self._target.begin() as connection:
                    connection.execute(insert_ignore(self._target, table), batch)
            self._go_on_numbering(table)

    def compare(self) -> list[Count]:
        """Return a line a table that has rows."""
        found = []
        for table in self._tables:
            (sent, wanted), (arrived, digest) = (
                _digest(self._rows(self._source, table, self._change)),
                _digest(self._rows(self._target, table, unchanged)),
            )
            if sent or arrived:
                found.append(Count(table.name, sent, arrived, wanted == digest))
        return found

    def _rows(self, engine: sa.Engine, table: sa.Table, change: Change) -> Iterator[Row]:
        there = sa.inspect(engine)
        if not there.has_table(table.name):
            return
        names = {column["name"] for column in there.get_columns(table.name)}
        columns = [column for column in table.columns if column.name in names]
        with engine.connect().execution_options(stream_results=True, yield_per=_AT_ONCE) as connection:
            for row in connection.execute(sa.select(*columns)).mappings():
                yield change(table.name, dict(row))

    def _go_on_numbering(self, table: sa.Table) -> None:
        """Set PostgreSQL's sequence behind a number that counts up; rows that bring their number do not move it."""
        keys = list(table.primary_key.columns)
        if self._target.dialect.name != "postgresql" or len(keys) != 1 or not isinstance(keys[0].type, sa.Integer):
            return
        with self._target.begin() as connection:
            name = {"table": f'"{table.name}"', "column": keys[0].name}
            sequence = connection.scalar(sa.text("SELECT pg_get_serial_sequence(:table, :column)"), name)
            highest = connection.scalar(sa.select(sa.func.max(keys[0])))
            if sequence and highest:
                connection.execute(
                    sa.text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest}
                )


def looking_at(uri: str) -> sa.Engine:
    """Return the engine of the database at ``uri``; of an empty one in memory while that is not there."""
    there = uri.startswith("sqlite") or database_exists(uri)
    return sa.create_engine(uri if there else "sqlite://", poolclass=sa.NullPool, hide_parameters=True)


def held(engine: sa.Engine, tables: Sequence[sa.Table]) -> dict[str, int]:
    """Return how many rows each of ``tables`` has, those without any left out."""
    there = set(sa.inspect(engine).get_table_names())
    with engine.connect() as connection:
        counts = {
            table.name: int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
            for table in tables
            if table.name in there
        }
    return {name: count for name, count in counts.items() if count}


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _digest(rows: Iterator[Row]) -> tuple[int, int]:
    """Return the number of rows, and a digest that does not depend on their order: databases sort texts apart."""
    count, total = 0, 0
    for row in rows:
        count += 1
        total += int.from_bytes(sha256(_text(row).encode()).digest(), "big")
    return count, total % (1 << 256)


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in row.items() if value is not None}, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    """Return a value in one form, whichever driver read it."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return str(value)
