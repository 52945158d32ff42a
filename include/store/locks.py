"""Locks that one process at a time holds: on this machine, or among all machines that share a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256

import sqlalchemy as sa
from filelock import FileLock

from include.specs.platform import Platform
from include.store.database import UNAVAILABLE, engine_of
from include.store.retry import keep_trying


@contextmanager
def exclusive(platform: Platform, name: str) -> Iterator[None]:
    """Hold the lock ``name`` for the length of the block; others wait. It is freed when its holder is killed.

    Where the factory's tables lie in PostgreSQL the lock holds among all who use them, elsewhere on this machine.

    Args:
        platform: where the tables lie.
        name: letters, digits, '.', '_' and '-'.

    Raises:
        TemporarilyUnavailableError: the database does not answer.
    """
    if not platform.database_uri.get_secret_value().startswith("postgresql"):
        file = platform.home / "locks" / f"{name}.lock"
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file):
            yield
        return
    connection = keep_trying(
        lambda: acquire(engine_of(platform), name),
        "the factory's database",
        platform.service_retry_seconds,
        UNAVAILABLE,
        "start it, or correct FACTORY_DATABASE_URI",
    )
    try:
        yield
    finally:
        release(connection, name)


def acquire(engine: sa.Engine, name: str) -> sa.Connection:
    """Return a connection to PostgreSQL that holds the lock ``name``, which others wait for.

    It holds it outside a transaction, which would keep old rows for as long.
    """
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _key(name)})
    except BaseException:
        connection.close()
        raise
    return connection


def release(connection: sa.Connection, name: str) -> None:
    """Free the lock ``name`` and close its ``connection``."""
    with suppress(sa.exc.DBAPIError):  # a connection that broke has freed it
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _key(name)})
    connection.close()


def _key(name: str) -> int:
    return int.from_bytes(sha256(f"factory {name}".encode()).digest()[:8], "big", signed=True)
