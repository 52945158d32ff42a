"""MLflow's database: experiments, runs, logged and registered models; every version keeps its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from include.migration.part import Count, MigrationError
from include.migration.rows import Row, Tables, held, looking_at
from include.registry.server import prepare_environment
from include.store.postgres import make_database

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARTIFACT_COLUMNS = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}
_PROXIED = "mlflow-artifacts:"
_MADE_BY_SERVER = {"experiments", "experiment_tags", "workspaces"}
"""Tables in which a new server writes a row for its default experiment."""


class MlflowTables:
    """Every table of MLflow's server.

    Args:
        source: URI of the embedded server's SQLite file.
        target: URI of the new server's database.
        moved: the artifact store's URI before and after, which the inputs of runs name.
    """

    title = "MLflow"

    def __init__(self, source: str, target: str, moved: tuple[str, str]) -> None:
        prepare_environment()
        self._before, self._after = moved
        self._uri, self._source = target, looking_at(source)
        self._all = _tables()

    def prepare(self) -> None:
        """Make the database and MLflow's tables, or hold the revision of those that are there against ours."""
        make_database(self._uri)
        _prepare(self._source, looking_at(self._uri))
        if not self.foreign():
            self._clear()

    def foreign(self) -> str:
        """Return the tables of the target that have rows, but for those of a new server.

        Raises:
            MigrationError: the source has tables that are not known here.
        """
        self._refuse_unknown()
        found = held(looking_at(self._uri), self._all)
        if found.get("experiments", 0) <= 1 and set(found) <= _MADE_BY_SERVER:
            return ""
        return ", ".join(f"{count} rows in {name}" for name, count in found.items())

    def _clear(self) -> None:
        """Remove the default experiment of a new server: ours comes with its own."""
        with looking_at(self._uri).begin() as connection:
            for table in reversed([table for table in self._all if table.name in _MADE_BY_SERVER]):
                connection.execute(sa.delete(table))

    def copy(self) -> None:
        """Insert what is missing."""
        self._tables().copy()

    def compare(self) -> list[Count]:
        """Return a line a table."""
        return self._tables().compare()

    def _tables(self) -> Tables:
        return Tables(self._source, looking_at(self._uri), self._all, self._change)

    def _change(self, table: str, row: Row) -> Row:
        """Let a run's inputs name the snapshot where it lies now; refuse artifacts that the server does not hold."""
        if table == "datasets":
            return {**row, "dataset_source": row["dataset_source"].replace(self._before, self._after)}
        column = _ARTIFACT_COLUMNS.get(table)
        if column and row[column] and not row[column].startswith(_PROXIED):
            raise MigrationError(
                f"MLflow keeps artifacts of {table} at {row[column]}, which its server does not serve; log that run "
                "again on a server that 'make start' starts, or delete it ('mlflow gc')"
            )
        return row

    def _refuse_unknown(self) -> None:
        known = {table.name for table in self._all} | {"alembic_version"}
        there = sa.inspect(self._source).get_table_names()
        with self._source.connect() as connection:
            unknown = [
                name
                for name in there
                if name not in known and connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name)))
            ]
        if unknown:
            raise MigrationError(f"MLflow's database has tables that this MLflow does not know: {', '.join(unknown)}")


def _tables() -> Sequence[sa.Table]:
    """Return MLflow's own declarations of its tables, parents first."""
    import mlflow.store.db.utils  # noqa: F401 - it imports every module that declares tables
    from mlflow.store.db.base_sql_model import Base

    tables: Sequence[sa.Table] = Base.metadata.sorted_tables
    return tables


def _prepare(source: sa.Engine, target: sa.Engine) -> None:
    """Make the target's tables where there are none; both must be of the same revision.

    Raises:
        MigrationError: they are not; the message says which to upgrade.
    """
    from mlflow.store.db import utils

    if not sa.inspect(target).has_table("alembic_version"):
        try:
            utils._safe_initialize_tables(target)
        except sa.exc.ProgrammingError as error:
            raise MigrationError(
                f"MLflow's tables cannot be made ({str(error.orig).splitlines()[0]}); let this user make them: "
                f'GRANT CREATE ON SCHEMA public TO "{target.url.username}"'
            ) from error
    ours, theirs = utils._get_schema_version(source), utils._get_schema_version(target)
    if ours != theirs:
        raise MigrationError(
            f"MLflow's database is of revision {ours}, the target's of {theirs}; start both servers once with the same "
            "version of MLflow ('make start' for the embedded one), or run 'mlflow db upgrade'"
        )
