"""The factory's own tables: prediction log, labels, rewards, routes, keys, signals."""

from __future__ import annotations

import include.store.api_keys
import include.store.log_records
import include.store.routes
import include.store.signals  # noqa: F401 - these declare the tables
from include.migration.part import Count
from include.migration.rows import Tables, held, looking_at
from include.specs import Platform
from include.store.database import METADATA, engine_at


class FactoryTables:
    """Every table of `include.store`."""

    title = "factory tables"

    def __init__(self, source: Platform, target: Platform) -> None:
        self._source, self._target = (one.database_uri.get_secret_value() for one in (source, target))

    def prepare(self) -> None:
        """Make the database and the tables."""
        engine_at(self._target)

    def foreign(self) -> str:
        """Return the tables of the target that have rows."""
        found = held(looking_at(self._target), METADATA.sorted_tables)
        return ", ".join(f"{count} rows in {name}" for name, count in found.items())

    def copy(self) -> None:
        """Insert what is missing."""
        self._tables().copy()

    def compare(self) -> list[Count]:
        """Return a line a table."""
        return self._tables().compare()

    def _tables(self) -> Tables:
        return Tables(looking_at(self._source), looking_at(self._target), METADATA.sorted_tables)
