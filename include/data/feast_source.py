"""A Feast feature service, joined point in time onto a file of entities, labels and times."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from include.data.files import CsvSource, FileSource, ParquetSource
from include.data.problems import missing_column
from include.data.source import Source
from include.specs import FactoryError, ModelSpec, Platform, SpecError, did_you_mean
from include.specs import data as specs
from include.store.feature_store import apply_definitions, open_feature_store

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

EVENT_TIME = "event_timestamp"
_ROW = "factory_row"


class FeastSource(Source):
    """Entity rows with the features as they were known at each row's event time (no later value leaks in)."""

    def __init__(self, spec: ModelSpec, source: specs.FeastSource, platform: Platform) -> None:
        super().__init__(spec)
        self._source, self._platform = source, platform
        parquet = source.entities.lower().endswith((".parquet", ".pq"))
        file = specs.FileSource(type="parquet" if parquet else "csv", path=source.entities)
        self._entities: FileSource = (ParquetSource if parquet else CsvSource)(spec, file, "data.source.entities")

    @property
    def title(self) -> str:
        """Feature service and entity file."""
        return f"feature service {self._source.service} on {self._entities.title}"

    def latest_event(self) -> datetime | None:
        """Return the latest event time of the entity file."""
        return self._entities.latest_event()

    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        if self.time is None:
            fix = f"name the time column of {self._source.entities}"
            raise self.error("data.time", "a join at a point in time needs the event time", fix)
        if self.time not in self._entities.names:
            raise SpecError([missing_column(self.spec, "data.time", self.time, self._entities.names)])
        entities = self._entities.sample(limit) if limit is not None else self._entities.read(start, end)
        joined = self._join(entities)
        return joined if columns is None else joined[columns]

    def _join(self, entities: pd.DataFrame) -> pd.DataFrame:
        """Return ``entities`` with the service's features, in the same order.

        Raises:
            FactoryError: the store dropped entity rows; Feast's default file store does so without a word.
        """
        keyed = entities.rename(columns={str(self.time): EVENT_TIME})
        keyed[_ROW] = range(len(keyed))
        joined: pd.DataFrame = self._store.get_historical_features(entity_df=keyed, features=self._service()).to_df()
        found = joined[_ROW].nunique()
        if found != len(keyed) or len(joined) != len(keyed):
            raise FactoryError(
                f"{self.title}: the point-in-time join returned {len(joined)} rows for {len(keyed)} entity rows "
                f"({len(keyed) - found} are missing); use 'offline_store: {{type: duckdb}}' in feature_store.yaml, and "
                "entity rows that are unique by key and time"
            )
        joined = joined.sort_values(_ROW, kind="stable").drop(columns=_ROW)
        return joined.rename(columns={EVENT_TIME: str(self.time)}).reset_index(drop=True)

    @cached_property
    def _store(self) -> FeatureStore:
        """The feature store, with its definitions applied."""
        apply_definitions(self._platform, self._source.repo)
        return open_feature_store(self._platform, self._source.repo)

    def _service(self) -> FeatureService:
        known = [service.name for service in self._store.list_feature_services()]
        if self._source.service not in known:
            fix = did_you_mean(self._source.service, known) or f"define it in {self._source.repo}"
            raise self.error("data.source.service", f"there is no feature service '{self._source.service}'", fix)
        return self._store.get_feature_service(self._source.service)
