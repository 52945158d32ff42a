"""Features by the key of an entity: looked up in the feature store, whose client is imported at the first look-up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from include.serving.errors import ServingError, unavailable
from include.serving.messages import Instance
from include.serving.models.routing import ActiveVariant
from include.specs import FactoryError, Platform

if TYPE_CHECKING:
    from include.store.online import OnlineFeatures


class OnlineLookup:
    """Completes instances that name an entity instead of features."""

    def __init__(self, platform: Platform) -> None:
        self._pool = ThreadPoolExecutor(1, "online")  # the feature store's client promises no thread safety
        self._platform = platform

    async def complete(self, variant: ActiveVariant, instances: Sequence[Instance], prefix: str = "") -> list[Instance]:
        """Return ``instances``, each with its features; what the service holds beyond the model's needs is left out.

        Raises:
            ServingError: 422 an instance has neither features nor an entity, or its model has no feature service;
                503 the feature store does not answer.
        """
        absent = [index for index, instance in enumerate(instances) if instance.features is None]
        service = variant.model.manifest.feature_service
        details = []
        for index in absent:
            where = f"{prefix}[{index}]" if prefix else "body"
            if instances[index].entity is None:
                message = "has no features; send 'features', or the keys of an 'entity'"
                details.append({"where": where, "message": message})
            elif not instances[index].entity:
                message = "is empty; send the keys that the features are looked up by"
                details.append({"where": f"{where}.entity", "message": message})
            elif service is None:
                message = "this model was not trained from a feature service; send 'features' instead of 'entity'"
                details.append({"where": f"{where}.entity", "message": message})
        if details or service is None:
            raise ServingError(422, "invalid_request", f"'{variant.model.model}' cannot read the request", details)
        entities = [instances[index].entity or {} for index in absent]
        found = await asyncio.get_running_loop().run_in_executor(self._pool, self._look_up, service, entities)
        completed = list(instances)
        for index, features in zip(absent, found, strict=True):
            needed = {name: _plain(features[name]) for name in variant.model.reader.names if name in features}
            completed[index] = msgspec.structs.replace(instances[index], features=needed)
        return completed

    @cached_property
    def _store(self) -> OnlineFeatures:
        from include.store.online import OnlineFeatures

        return OnlineFeatures(self._platform)

    def _look_up(self, service: str, entities: list[dict[str, str | int]]) -> list[dict[str, Any]]:
        from include.store.online import UnknownEntityError

        try:
            return self._store.lookup(service, entities)
        except UnknownEntityError as error:
            raise ServingError(404, "unknown_entity", str(error)) from error
        except FactoryError as error:
            if error.__cause__ is None:  # nothing behind it failed: the keys are wrong
                raise ServingError(422, "invalid_entity", str(error)) from error
            raise unavailable(str(error)) from error

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _plain(value: Any) -> Any:
    """Return a looked-up value as a caller would send it."""
    return value.isoformat() if isinstance(value, datetime) else value
