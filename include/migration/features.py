"""The feature store: the records behind the views, the definitions, what was materialised, and the online features."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from include.features.feast_tables import offline_database, write_tables
from include.migration.part import Count, MigrationError
from include.migration.rows import looking_at
from include.specs import Platform
from include.store.feature_store import apply_definitions, data_folder, open_feature_store
from include.store.postgres import make_database

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

_AT_ONCE = 500


class Features:
    """Feast's registry, offline records and online store, from files and SQLite into whatever the target names."""

    title = "feature store"

    def __init__(self, source: Platform, target: Platform) -> None:
        self._source, self._target = source, target
        self._online = source.home / "feast" / "online.db"
        self._there = (source.home / "feast" / "registry.db").is_file()

    def prepare(self) -> None:
        """Bring the records behind the views, then the definitions, which Feast holds against them."""
        if not self._there:
            return
        if (database := offline_database(self._target)) is not None:
            import pandas as pd

            make_database(database.render_as_string(hide_password=False))
            write_tables(database, {file.stem: pd.read_parquet(file) for file in self._files()})
        apply_definitions(self._target)

    def foreign(self) -> str:
        """Return the views that the target has materialised, and the tables that ours would take the place of.

        Raises:
            MigrationError: there is a feature store, and the target names none.
        """
        if not self._there:
            return ""
        if not _is_shared(self._target):
            raise MigrationError(
                "this factory has a feature store; name FACTORY_FEAST__REGISTRY and FACTORY_FEAST__ONLINE_STORE for it"
            )
        if (database := offline_database(self._target)) is not None:
            tables = sa.inspect(looking_at(database.render_as_string(hide_password=False))).get_table_names()
            if taken := sorted({file.stem for file in self._files()} & set(tables)):
                return f"tables {', '.join(taken)} of the offline store"
        views = [view.name for view in open_feature_store(self._target).list_feature_views() if _intervals(view)]
        return f"materialised feature views {', '.join(views)}" if views else ""

    def copy(self) -> None:
        """Write the online features, and then note what was materialised."""
        if not self._there:
            return
        ours, theirs = open_feature_store(self._source), open_feature_store(self._target)
        known = {view.name: view for view in theirs.list_feature_views()}
        for view in ours.list_feature_views():
            rows = self._rows(ours, view.name)
            while batch := list(islice(rows, _AT_ONCE)):
                theirs._get_provider().online_write_batch(theirs.config, known[view.name], batch, None)
            noted = {edge for edge, _ in _intervals(known[view.name])}
            for start, end in _intervals(view):
                if start not in noted:
                    theirs.registry.apply_materialization(known[view.name], theirs.project, start, end)

    def compare(self) -> list[Count]:
        """Return a line a view, which counts the entities whose features are served."""
        if not self._there:
            return []
        ours, theirs = open_feature_store(self._source), open_feature_store(self._target)
        known = {view.name: view for view in theirs.list_feature_views()}
        return [self._compared(ours, theirs, view, known.get(view.name)) for view in ours.list_feature_views()]

    def _files(self) -> list[Path]:
        return sorted(Path(data_folder(self._source)).glob("*.parquet"))

    def _compared(
        self, ours: FeatureStore, theirs: FeatureStore, view: FeatureView, their_view: FeatureView | None
    ) -> Count:
        sent = arrived = 0
        same = their_view is not None and _intervals(their_view) == _intervals(view)
        rows = self._rows(ours, view.name)
        while batch := list(islice(rows, _AT_ONCE)):
            sent += len(batch)
            if their_view is None:
                continue
            found = theirs._get_provider().online_read(theirs.config, their_view, [key for key, *_ in batch])
            for (_, values, _, _), (_, held) in zip(batch, found, strict=True):
                arrived += held is not None
                same = same and held is not None and all(held.get(name) == value for name, value in values.items())
        return Count(f"online {view.name}", sent, arrived, same)

    def _rows(self, store: FeatureStore, view: str) -> Iterator[tuple[Any, dict[str, Any], datetime, datetime | None]]:
        """Yield key, values, event time and creation time of each entity in the SQLite online store."""
        from feast.infra.key_encoding_utils import deserialize_entity_key
        from feast.protos.feast.types.Value_pb2 import Value

        if not self._online.is_file():
            return
        table, version = f"{store.project}_{view}", store.config.entity_key_serialization_version
        connection = sqlite3.connect(f"{self._online.as_uri()}?mode=ro", uri=True)
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                return
            columns = "entity_key, feature_name, value, event_ts, created_ts"
            found = connection.execute(f'SELECT {columns} FROM "{table}" ORDER BY entity_key')  # noqa: S608 - Feast's name
            for key, rows in groupby(found, key=lambda row: row[0]):
                cells = list(rows)
                values = {name: Value.FromString(value) for _, name, value, _, _ in cells}
                yield deserialize_entity_key(key, version), values, *(_time(cells[0][at]) for at in (3, 4))
        finally:
            connection.close()


def _is_shared(target: Platform) -> bool:
    return bool(target.feast.registry.get_secret_value() and target.feast.online_store.get_secret_value())


def _intervals(view: FeatureView) -> list[tuple[datetime, datetime]]:
    return sorted((start.astimezone(UTC), end.astimezone(UTC)) for start, end in view.materialization_intervals)


def _time(seconds: int | None) -> datetime | None:
    """Return a time of Feast's SQLite store: it takes UTC for the machine's own time, both ways."""
    return None if seconds is None else datetime.fromtimestamp(seconds).replace(tzinfo=UTC)
