"""Where Optuna keeps the trials, and the lock under which processes, on one machine or on several, take turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from include.specs import FactoryError
from include.store.database import UNAVAILABLE
from include.store.locks import acquire, release
from include.store.postgres import CLIENT, make_database, watched
from include.store.retry import keep_trying

PATIENCE = 60.0
"""Seconds for which a database that does not answer is asked again: a search is too dear to fail at a busy moment."""


class StorageError(FactoryError):
    """The storage cannot do what is asked of it."""


def open_storage(storage: str) -> Any:
    """Return Optuna's storage: SQL for a URI, a journal file for a path.

    Raises:
        TemporarilyUnavailableError: the database did not answer for `PATIENCE` seconds.
    """
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if "://" in storage:

        def opened() -> Any:
            make_database(storage)
            with exclusive(storage, "the tables"):  # two processes that make the tables at once would stumble
                client = CLIENT if may_be_shared(storage) else {}
                return RDBStorage(storage, engine_kwargs={"pool_pre_ping": True, "connect_args": client})

        service = f"the study's database {sa.make_url(storage).render_as_string(hide_password=True)}"
        return keep_trying(opened, service, PATIENCE, UNAVAILABLE, "start it, or correct FACTORY_OPTUNA_URI")
    file = Path(storage)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{file}.lock")
    with lock:
        _mend(file)
    return JournalStorage(JournalFileBackend(str(file), lock_obj=_KernelLock(lock)))


def may_be_shared(storage: str) -> bool:
    """Tell whether several processes can take turns: PostgreSQL over any distance, a journal file on one machine."""
    return "://" not in storage or sa.make_url(storage).get_backend_name() == "postgresql"


@contextmanager
def exclusive(storage: str, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of ``storage`` for the length of the block; a killed holder frees it.

    So does one whose machine is gone, within a minute. A storage that cannot be shared has no such lock: there the
    block runs without one.
    """
    if "://" not in storage:
        with FileLock(f"{storage}.turn.lock"):
            yield
        return
    if not may_be_shared(storage):
        yield
        return
    engine = watched(sa.create_engine(storage, poolclass=sa.NullPool, connect_args=CLIENT))
    connection = acquire(engine, name)
    try:
        yield
    finally:
        release(connection, name)


def _mend(file: Path) -> None:
    """Cut off the line that a killed process was writing: Optuna refuses a journal that holds half of one."""
    if not file.exists():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with file.open("rb+") as journal:
            journal.truncate(whole)


@dataclass(frozen=True)
class _KernelLock:
    """A journal lock that the kernel frees when its holder is killed; Optuna's own would stand for 30 seconds."""

    lock: FileLock

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()
