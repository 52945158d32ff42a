"""Features of an entity as they are now, from Feast's online store: what a model is served with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.specs import FactoryError, Platform, did_you_mean
from include.store.feature_store import open_feature_store, service_views

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore


REFRESH_SECONDS = 60.0
"""How long the definition of a feature service is used before the registry is asked again."""


class OnlineFeaturesError(FactoryError):
    """A lookup names a feature service or an entity key that does not exist."""


class UnknownEntityError(OnlineFeaturesError):
    """The online store holds nothing on an entity."""


@dataclass(frozen=True)
class _Service:
    """What a lookup needs to know of a feature service.

    Attributes:
        keys: entity keys that its feature views are looked up by.
        stored: features that are kept in the online store; the others are computed at lookup.
        expires: monotonic time after which the registry is asked again.
    """

    found: FeatureService
    keys: tuple[str, ...]
    stored: tuple[str, ...]
    expires: float


class OnlineFeatures:
    """Lookups by entity key; the store is opened on the first one, which takes several seconds.

    Args:
        platform: the platform's settings.
        repo: folder of the feature repository; the platform's when None.
    """

    def __init__(self, platform: Platform, repo: str | None = None) -> None:
        self._platform = platform
        self._repo = repo
        self._services: dict[str, _Service] = {}

    def lookup(self, service: str, entity_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the features of ``service`` for each entity, in order; a feature without a value is None.

        Args:
            service: name of the feature service.
            entity_rows: the keys of one entity each, such as ``{"customer_id": "c030-00001"}``.

        Raises:
            UnknownEntityError: no feature of an entity was ever materialised.
            OnlineFeaturesError: there is no such service, a key is missing, or the store failed.
        """
        if not entity_rows:
            return []
        known = self._service(service)
        rows = [{key: row[key] for key in known.keys if key in row} for row in entity_rows]
        if missing := [key for key in known.keys if any(key not in row for row in rows)]:
            raise OnlineFeaturesError(
                f"'{service}' is looked up by {', '.join(known.keys)}; {', '.join(missing)} is missing"
            )
        try:
            columns = self._store.get_online_features(features=known.found, entity_rows=rows).to_dict()
        except Exception as error:  # Feast passes on whatever its stores raise
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise OnlineFeaturesError(
                f"online lookup of '{service}' failed: {reason}; see that the online store answers"
            ) from error
        names = [name for name in columns if name not in known.keys]
        found = [{name: columns[name][index] for name in names} for index in range(len(rows))]
        _refuse_unknown(known, rows, found)
        return found

    @cached_property
    def _store(self) -> FeatureStore:
        return open_feature_store(self._platform, self._repo)

    def _service(self, name: str) -> _Service:
        from feast.errors import FeastObjectNotFoundException

        cached = self._services.get(name)
        if cached is not None and cached.expires > time.monotonic():
            return cached
        try:
            found = self._store.get_feature_service(name, allow_cache=True)
        except FeastObjectNotFoundException as error:
            known = [service.name for service in self._store.list_feature_services()]
            hint = did_you_mean(name, known) or "run the feature_materialization pipeline"
            raise OnlineFeaturesError(f"there is no feature service '{name}'; {hint}") from error
        views = service_views(self._store, found)
        keys = sorted({column.name for view in views for column in view.entity_columns})
        asked = {projection.name: projection.features for projection in found.feature_view_projections}
        stored = tuple(feature.name for view in views for feature in asked.get(view.name, ()))
        service = _Service(found, tuple(keys), stored, time.monotonic() + REFRESH_SECONDS)
        self._services[name] = service
        return service


def _refuse_unknown(service: _Service, rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Refuse entities that the store holds nothing on: a row of missing values would be scored like any other."""
    unknown = [
        keys
        for keys, features in zip(rows, found, strict=True)
        if service.stored and all(features[name] is None for name in service.stored)
    ]
    if unknown:
        shown = ", ".join(str(keys) for keys in unknown[:3]) + (", …" if len(unknown) > 3 else "")
        raise UnknownEntityError(
            f"the online store holds no features of {shown}; correct the key, or materialise the interval in which it "
            "was observed"
        )
