"""Tables and queries of SQLite and PostgreSQL, read only; the time window is left to the database."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from include.data.source import Source
from include.specs import ROOT, ModelSpec, SpecError, TemporarilyUnavailableError, did_you_mean
from include.specs import data as specs
from include.store.retry import keep_trying

_NO_USE_TRYING = ("authentication failed", "does not exist", "no password supplied", "not permitted", "no pg_hba.conf")
_SLACK = timedelta(seconds=1)
_NUMBERED = re.compile(r":\d+$")
_BIND = re.compile(r"(?<![:\w\\]):(?=\w)")


class SqlSource(Source):
    """A table, or a query as a subquery."""

    def __init__(self, spec: ModelSpec, source: specs.SqlSource, retry_seconds: float) -> None:
        super().__init__(spec)
        self._source, self._retry_seconds = source, retry_seconds
        self._url = self._checked_url()

    @property
    def title(self) -> str:
        """Table or query and its database, without the password."""
        what = f"table {self._source.table}" if self._source.table else "the query"
        return f"{what} of {self._url.render_as_string(hide_password=True)}"

    def latest_event(self) -> datetime | None:
        """Return the latest event time; where times are kept as times, the database looks for it."""
        if self.time is None or self.time not in self.names:
            return super().latest_event()
        with self._connection() as connection:
            if not self._is_timestamp(connection):
                return super().latest_event()
            query = sa.select(sa.func.max(_quoted(self.time))).select_from(self._rows())
            latest = pd.DataFrame({self.time: [connection.execute(query).scalar()]})
        moment = self._normal(latest)[self.time].iloc[0]
        return None if pd.isna(moment) else moment.to_pydatetime()

    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        with self._connection() as connection:
            query = sa.select(*self._columns(connection, columns)).select_from(self._rows()).limit(limit)
            if start is not None or end is not None:
                query = query.where(*self._window(connection, start, end))
            for key in self._order(connection, columns):
                query = query.order_by(_quoted(key))
            result = connection.execute(query)
            return pd.DataFrame(result.fetchall(), columns=_as_written(result.keys()))

    def _columns(self, connection: sa.Connection, columns: list[str] | None) -> list[Any]:
        """Return the columns to select; a table's booleans by their type, as SQLite keeps them as numbers."""
        if columns is None:
            return [sa.text("*")]
        if self._source.query:
            return [_quoted(name) for name in columns]
        schema, table = self._table
        found = sa.inspect(connection).get_columns(table, schema)
        booleans = {column["name"] for column in found if isinstance(column["type"], sa.Boolean)}
        return [_quoted(name, sa.Boolean() if name in booleans else None) for name in columns]

    @property
    def _table(self) -> tuple[str | None, str]:
        """Schema, or None, and table."""
        schema, _, table = str(self._source.table).rpartition(".")
        return schema or None, table

    def _rows(self) -> Any:
        if self._source.table:
            schema, table = self._table
            return sa.table(quoted_name(table, True), schema=quoted_name(schema, True) if schema else None)
        query = str(self._source.query).strip().rstrip(";")
        return sa.text(_subquery(query))

    def _order(self, connection: sa.Connection, columns: list[str] | None) -> list[str]:
        """Return the columns that make the order of rows the same each time, as far as the data has such."""
        if columns is None:
            return []
        wanted = [name for name in (self.time, self.spec.data.id) if name]
        if self._source.table:
            schema, table = self._table
            key = sa.inspect(connection).get_pk_constraint(table, schema)
            wanted += key["constrained_columns"]
        return [name for name in dict.fromkeys(wanted) if name in columns]

    def _window(self, connection: sa.Connection, start: datetime | None, end: datetime | None) -> list[Any]:
        """Return the window as conditions, a second wide of it; `Source.read` cuts exactly."""
        column: Any = _quoted(str(self.time))
        bound: Callable[[datetime], Any]
        if connection.dialect.name == "sqlite":  # it keeps times as text of any ISO form
            column = sa.func.julianday(column)
            bound = _julian_day
        else:
            bound = _timestamp
            if not self._is_timestamp(connection):
                column = sa.cast(column, sa.DateTime(timezone=True))
        conditions = [column >= bound(start - _SLACK)] if start is not None else []
        return conditions + ([column <= bound(end + _SLACK)] if end is not None else [])

    def _is_timestamp(self, connection: sa.Connection) -> bool:
        """Tell whether the database keeps the time column as times (SQLite never does)."""
        column = _quoted(str(self.time))
        query = sa.select(column).select_from(self._rows()).where(column.is_not(None)).limit(1)
        return isinstance(connection.execute(query).scalar(), date)

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """Give a read-only connection; SQL errors become spec errors that name tables or columns."""
        engine = sa.create_engine(self._url, poolclass=sa.NullPool, **self._options())
        try:
            with self._connect(engine) as connection:
                self._check_table(connection)
                yield connection
        except sa.exc.SQLAlchemyError as error:
            if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
                message = f"{self.title} went away while it was read ({_first_line(error)}); start it again"
                raise TemporarilyUnavailableError(message) from error
            raise self._sql_error(error) from error
        finally:
            engine.dispose()

    def _connect(self, engine: sa.Engine) -> sa.Connection:
        def connect() -> sa.Connection:
            try:
                return engine.connect().execution_options(postgresql_readonly=True)
            except sa.exc.OperationalError as error:
                if engine.dialect.name == "sqlite" or any(text in str(error.orig) for text in _NO_USE_TRYING):
                    raise self._sql_error(error) from error
                raise ConnectionError(_first_line(error)) from error

        shown = self._url.render_as_string(hide_password=True)
        fix = "start it, or correct data.source"
        return keep_trying(connect, f"database {shown}", self._retry_seconds, (ConnectionError,), fix)

    def _options(self) -> dict[str, Any]:
        if self._url.get_backend_name() == "sqlite":
            return {}
        return {"connect_args": {"connect_timeout": 10, "options": "-c timezone=UTC"}}

    def _check_table(self, connection: sa.Connection) -> None:
        if self._source.table is None:
            return
        schema, table = self._table
        inspector = sa.inspect(connection)
        known = inspector.get_table_names(schema) + inspector.get_view_names(schema)
        if table not in known:
            prefix = f"{schema}." if schema else ""
            fix = did_you_mean(f"{prefix}{table}", [prefix + name for name in known]) or "create it"
            raise self.error("data.source.table", f"there is no {self.title}", fix)

    def _sql_error(self, error: sa.exc.SQLAlchemyError) -> SpecError:
        field = "data.source.query" if self._source.query else "data.source"
        return self.error(
            field, f"{self.title} cannot be read: {_first_line(error)}", "correct it, or grant read access"
        )

    def _checked_url(self) -> sa.URL:
        """Return the database's address, from the spec or the environment.

        Raises:
            SpecError: it is missing, malformed, or of a database that is not supported; never with its text.
        """
        name = self._source.uri_env
        field = "data.source.uri_env" if name else "data.source.uri"
        text = os.environ.get(name, "") if name else self._source.uri
        if not text:
            raise self.error(field, f"the environment variable {name} is not set", f"set {name} to the database's URI")
        try:
            url = sa.make_url(text)
        except (sa.exc.ArgumentError, ValueError):
            raise self.error(field, "it holds no SQLAlchemy URI", "write one such as sqlite:///data/shop.db") from None
        backend = url.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            hint = did_you_mean(backend, ("sqlite", "postgresql"))
            raise self.error(field, f"'{backend}' is not supported", hint)
        return self._sqlite_file(url, field) if backend == "sqlite" else url

    def _sqlite_file(self, url: sa.URL, field: str) -> sa.URL:
        """Return the URL that opens an existing file for reading only; SQLite would create a missing one."""
        path = ROOT / (url.database or "")
        if not path.is_file():
            near = [file.name for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
            fix = did_you_mean(path.name, near) or "check the path (it is relative to the project)"
            raise self.error(field, f"there is no database file {url.database}", fix)
        return url.set(database=path.resolve().as_uri(), query={"mode": "ro", "uri": "true"})


def _first_line(error: sa.exc.SQLAlchemyError) -> str:
    """Return what the database said, without SQLAlchemy's background and the statement."""
    said = str(getattr(error, "orig", None) or "").strip() or type(error).__name__
    return said.splitlines()[0]


def _quoted(name: str, kind: Any = None) -> sa.ColumnClause[Any]:
    return sa.column(quoted_name(name, True), kind)


def _as_written(names: Iterable[str]) -> list[str]:
    """Return result names as the query has them: SQLite calls the second ``x`` of a subquery ``x:1``."""
    listed = list(names)
    bases = [_NUMBERED.sub("", name) for name in listed]
    return [base if base in listed else name for name, base in zip(listed, bases, strict=True)]


def _subquery(query: str) -> str:
    """Return ``query`` as a subquery; a colon in it is no parameter of ours."""
    return "(" + _BIND.sub(r"\\:", query) + "\n) AS factory_rows"


def _julian_day(moment: datetime) -> Any:
    return sa.func.julianday(moment.isoformat())


def _timestamp(moment: datetime) -> Any:
    return sa.literal(moment, sa.DateTime(timezone=True))
