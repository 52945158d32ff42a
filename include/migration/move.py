"""The move: refuse what must not be, copy what is missing, hold the target against the source."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from include.local.stack import Stack
from include.migration.factory_tables import FactoryTables
from include.migration.features import Features
from include.migration.files import Files
from include.migration.mlflow_tables import MlflowTables
from include.migration.part import Count, MigrationError, Part
from include.migration.rows import looking_at
from include.migration.studies import Studies
from include.migration.target import Target
from include.specs import Platform
from include.store.artifacts import ArtifactStore
from include.store.database import UtcDateTime, engine_at, insert_ignore
from include.store.locks import exclusive
from include.store.runs import RESULT

MARKS = sa.Table(
    "factory_migrations",
    sa.MetaData(),
    sa.Column("source", sa.String(32), primary_key=True),
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
)
"""In the target's database: which factory was moved into it; what makes a move that was killed go on."""
Say = Callable[[str], None]


class Move:
    """The move of one embedded factory, which is stopped, to one target."""

    def __init__(self, source: Platform, target: Target) -> None:
        self._source, self._target = source, target
        self._database = target.platform.database_uri.get_secret_value()
        self.parts = self._parts()

    def dry_run(self) -> list[tuple[str, Count]]:
        """Return what the move would bring; nothing is changed.

        Raises:
            MigrationError: the move would be refused.
        """
        self._refuse_running()
        if self._mark() is None:
            self._refuse_foreign()
        return self._compared()

    def run(self, say: Say) -> list[tuple[str, Count]]:
        """Move everything and return the comparison; called again, it goes on where it was killed.

        Raises:
            MigrationError: the stack runs, the target holds other data, or what arrived is not what was sent.
        """
        self._refuse_running()
        with exclusive(self._target.platform, "migration"):
            mark = self._mark()
            if mark is not None and mark["finished_at"] is not None:
                ended = mark["finished_at"].astimezone(UTC)
                say(f"this factory was moved on {ended:%Y-%m-%d %H:%M} UTC; nothing is left to do")
                return []
            if mark is None:
                self._refuse_foreign()
                self._write_mark(begun_at=datetime.now(UTC))
            for part in self.parts:
                say(f"copying {part.title}")
                part.prepare()
                part.copy()
            say("comparing")
            found = self._compared()
            if wrong := [f"{title}: {count.what}" for title, count in found if not count.same]:
                raise MigrationError(
                    f"what arrived is not what was sent: {', '.join(wrong)}; was the source or the target used "
                    "meanwhile? Stop both and run the move again, or empty the target"
                )
            self._write_mark(finished_at=datetime.now(UTC))
            return found

    def _parts(self) -> Sequence[Part]:
        source, target = self._source, self._target.platform
        patience = target.service_retry_seconds
        parts: list[Part] = [
            Files("artifacts", ArtifactStore.of(source), ArtifactStore.of(target), last=RESULT),
            FactoryTables(source, target),
            Studies(source, target),
            Features(source, target),
        ]
        if (tables := self._mlflow_tables()) is not None:
            models = ArtifactStore((source.home / "mlflow-artifacts").as_uri())
            parts.append(Files("MLflow artifacts", models, ArtifactStore(self._target.mlflow_artifacts, patience)))
            parts.append(tables)  # last: a version whose files are not there is no version
        return parts

    def _mlflow_tables(self) -> MlflowTables | None:
        file = self._source.home / "mlflow.db"
        if not file.is_file():
            if ArtifactStore.of(self._source).files("runs"):
                raise MigrationError(
                    f"there are runs, and no {file}; what MLflow knows of them would be lost: put its database there"
                )
            return None
        moved = (self._source.artifacts_uri.rstrip("/"), self._target.platform.artifacts_uri.rstrip("/"))
        return MlflowTables(f"sqlite:///{file}", self._target.mlflow_database.get_secret_value(), moved)

    def _refuse_running(self) -> None:
        if Stack(self._source).running():
            raise MigrationError("the embedded stack runs, and what it writes now would be lost; run 'make stop' first")

    def _refuse_foreign(self) -> None:
        held = [f"{part.title}: {found}" for part in self.parts if (found := part.foreign())]
        if held:
            raise MigrationError(
                f"the target holds other data ({'; '.join(held)}); name an empty bucket prefix and empty databases"
            )

    def _compared(self) -> list[tuple[str, Count]]:
        return [(part.title, count) for part in self.parts for count in part.compare()]

    def _mark(self) -> dict[str, Any] | None:
        """Return what the target says of this factory's move; None when it has not begun."""
        file = self._source.home / "migration.id"
        engine = looking_at(self._database)
        if not file.is_file() or not sa.inspect(engine).has_table(MARKS.name):
            return None
        with engine.connect() as connection:
            query = sa.select(MARKS).where(MARKS.c.source == file.read_text(encoding="ascii"))
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None

    def _write_mark(self, **values: datetime) -> None:
        file = self._source.home / "migration.id"
        if not file.is_file():
            file.write_text(uuid.uuid4().hex, encoding="ascii")
        name, engine = file.read_text(encoding="ascii"), engine_at(self._database)
        MARKS.create(engine, checkfirst=True)
        with engine.begin() as connection:
            if "begun_at" in values:
                connection.execute(insert_ignore(engine, MARKS), {"source": name, **values})
            else:
                connection.execute(sa.update(MARKS).where(MARKS.c.source == name).values(**values))
