"""Databases of PostgreSQL, made when they are missing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from include.specs.errors import FactoryError, TemporarilyUnavailableError

_MAINTENANCE = "postgres"
"""The database that every server has."""
CLIENT: dict[str, Any] = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}  # fmt: skip
"""Options of a connection (seconds; the last in milliseconds): a server that is gone is noticed within a minute."""


def watched(engine: sa.Engine) -> sa.Engine:
    """Return ``engine``, whose connections let the server notice within a minute that this machine is gone.

    By default that takes a server two hours, and as long it keeps the locks of a node that lost its power.
    """
    event.listen(engine, "connect", _watch)
    return engine


def _watch(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        for name in ("idle", "interval", "count"):
            cursor.execute(f"SET tcp_keepalives_{name} = {CLIENT[f'keepalives_{name}']}")
    connection.commit()


def database_exists(uri: str) -> bool:
    """Tell whether the database of ``uri`` is there.

    Raises:
        TemporarilyUnavailableError: the server does not answer, or refuses the user.
    """
    url = sa.make_url(uri)
    try:
        _engine(url).connect().close()
    except sa.exc.OperationalError as error:
        if f'database "{url.database}" does not exist' in str(error.orig):
            return False
        raise TemporarilyUnavailableError(
            f"database {_shown(url)} does not answer ({_reason(error)}); start it, or correct its URI"
        ) from error
    return True


def make_database(uri: str) -> bool:
    """Make the database of ``uri`` when it is missing, and tell whether it was made; only of PostgreSQL.

    Raises:
        TemporarilyUnavailableError: the server does not answer, or refuses the user.
        FactoryError: the database is missing, and the user may not make it.
    """
    url = sa.make_url(uri)
    if url.get_backend_name() != "postgresql" or not url.database or database_exists(uri):
        return False
    try:
        with _engine(url.set(database=_MAINTENANCE)).connect() as connection:
            name = connection.dialect.identifier_preparer.quote(url.database)
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.DBAPIError as error:
        if "already exists" in str(error.orig):
            return False  # another process was faster
        raise FactoryError(
            f"database {_shown(url)} is missing, and user '{url.username}' may not make it ({_reason(error)}); have it "
            f'made: CREATE DATABASE "{url.database}" OWNER "{url.username}"'
        ) from error
    return True


def _engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args=CLIENT)


def _shown(url: sa.URL) -> str:
    return url.render_as_string(hide_password=True)


def _reason(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]
