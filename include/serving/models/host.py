"""Keeps the models of the routing table in memory: restores it at start, follows it, and swaps without a gap."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import msgspec

from include.serving.errors import ServingError, unavailable
from include.serving.models.fetch import cached, champion_number, fetch
from include.serving.models.loaded import LoadedModel, load_model
from include.serving.models.routing import ActiveVariant, Served, activate
from include.serving.observability import metrics
from include.specs import FactoryError, Platform, did_you_mean
from include.specs.loader import spec_files
from include.store.database import UNAVAILABLE
from include.store.routes import Route, RouteStore, Variant

log = logging.getLogger(__name__)
NAME, VERSION = re.compile(r"[a-z][a-z0-9_]{0,62}"), re.compile(r"[1-9][0-9]{0,8}")
RETRY_SECONDS = 30.0
"""How long a model that could not be loaded, or was never released, is left alone."""


class ModelHost:
    """The models that this server answers for.

    ``served`` is replaced whole, never changed: a request keeps the object it began with, and a version leaves memory
    when the last request that uses it has ended.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = RouteStore(platform)
        self.pinned = _pinned(platform)
        self._snapshot = platform.home / "cache" / "routes.json"
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._loader = ThreadPoolExecutor(1, "loader")
        self._predictors = ThreadPoolExecutor(max(2, os.cpu_count() or 1), "predict")
        self._shadows = ThreadPoolExecutor(1, "shadow")
        self._failed_at: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}
        self._direct: dict[str, dict[str, ActiveVariant]] = {}
        self.served: dict[str, Served] = {}
        self.failures: dict[str, str] = {}
        self.ready = False

    # What requests ask

    def find(self, model: str, version: str | None = None) -> tuple[Served, ActiveVariant | None]:
        """Return how ``model`` is served, and the variant that runs ``version`` when one is asked for.

        Raises:
            ServingError: 404 no such model or version here, 503 it is being loaded.
        """
        served = self.served.get(model)
        if version is None:
            if served is None:
                self.require(model)
                raise ServingError(404, "not_released", f"'{model}' has no released version; ask for a version")
            return served, None
        direct = self._direct.get(model, {})
        for variant in (*(served.everyone if served else ()), *direct.values()):
            if variant.model.version == version:
                return served or Served(Route(model, (Variant("direct", version, 100),)), (variant,)), variant
        here = ", ".join(sorted(self.require(model), key=int))
        message = f"version '{version[:32]}' of '{model}' is not loaded; loaded: {here}"
        raise ServingError(404, "unknown_version", message)

    def default_model(self) -> str:
        """Return who answers where a path names no model: the setting, or the only model that is served.

        Raises:
            ServingError: 409 there are several, 404 there is none, 503 they are being loaded.
        """
        if (setting := self._platform.serving.default_model) is not None:
            return setting
        names = self.models
        if len(names) == 1:
            return names[0]
        if names:
            message = f"several models are served: {', '.join(names)}; ask /v1/models/<name>/predict"
            raise ServingError(409, "no_default_model", message)
        if not self.ready:
            raise unavailable("the server has just started and is loading its models; try again", seconds=1)
        raise ServingError(404, "unknown_model", "no model has been released yet")

    def measure(self) -> None:
        """Tell the metrics how much waits."""
        for model, served in self.served.items():
            for variant in served.everyone:
                labels = (model, variant.model.version, variant.name)
                metrics.WAITING.labels(*labels).set(variant.batcher.waiting)

    def versions(self, model: str) -> dict[str, LoadedModel]:
        """Return the versions of ``model`` that are in memory."""
        served = self.served.get(model)
        active = (*self._direct.get(model, {}).values(), *(served.everyone if served else ()))
        return {variant.model.version: variant.model for variant in active}

    def require(self, model: str) -> dict[str, LoadedModel]:
        """Return the versions of ``model`` that are in memory, at least one.

        Raises:
            ServingError: 404 no such model here, 503 it is being loaded.
        """
        if versions := self.versions(model):
            return versions
        if not self.ready:
            raise unavailable("the server has just started and is loading its models; try again", seconds=1)
        if model in self.failures:
            raise unavailable(f"'{model}' could not be loaded: {self.failures[model]}", seconds=10)
        known = did_you_mean(model[:64], self.models) or "no model has been released yet"
        raise ServingError(404, "unknown_model", f"no model '{model[:64]}' is served here; {known}")

    @property
    def models(self) -> list[str]:
        """Names of the models that are served, loaded or failed to load."""
        return sorted({*self.served, *self.failures, *(name for name, direct in self._direct.items() if direct)})

    # Taking models in and out; `Operation` says when

    def hold(self, loaded: LoadedModel) -> None:
        """Keep a version that gets no traffic yet; ``/versions/{v}/predict`` then reaches it."""
        model, version = loaded.model, loaded.version
        served = self.served.get(model)
        if served is not None and any(variant.model is loaded for variant in served.everyone):
            return
        alone = activate(
            Route(model, (Variant("direct", version, 100),)), {version: loaded},
            self._predictors, self._shadows, self._platform.serving.max_waiting_rows,
        )  # fmt: skip
        self._direct.setdefault(model, {})[version] = alone.variants[0]
        metrics.LOADED.labels(model, version).set(1)

    def forget(self, model: str) -> None:
        """Let no request meet ``model`` any more; it leaves memory with the last one under way."""
        for version in self.versions(model):
            metrics.LOADED.labels(model, version).set(0)
        self.served = {name: served for name, served in self.served.items() if name != model}
        self._direct.pop(model, None)
        self.failures.pop(model, None)
        log.info("%s is taken out", model)

    async def load(self, model: str, version: str) -> LoadedModel:
        """Return a version, loaded and warmed; the caller holds the lock of the model.

        Raises:
            ServingError: 404 it is not in the registry, 422 its package is wrong, 503 the registry is away.
        """
        if not NAME.fullmatch(model) or not VERSION.fullmatch(version):
            raise ServingError(422, "invalid_name", "a model is named in lower case, and its version is a number")
        if loaded := self.versions(model).get(version):
            return loaded
        if (folder := cached(self._platform, model, version)) is None:
            await fetch(self._platform, model, version)
            if (folder := cached(self._platform, model, version)) is None:
                raise ServingError(404, "unknown_version", f"the registry left no package of '{model}' {version}")
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(
                self._loader, load_model, model, version, folder, self._platform.serving.device
            )
        except FactoryError as error:
            raise ServingError(422, "invalid_package", str(error)) from error
        log.info("loaded %s version %s in %.0f ms", model, version, loaded.load_ms)
        return loaded

    def swap(self, route: Route, models: dict[str, LoadedModel]) -> None:
        """Let new requests meet ``route``; versions that it does not name are forgotten with their last request."""
        before = set(self.versions(route.model))
        capacity = self._platform.serving.max_waiting_rows
        served = activate(route, models, self._predictors, self._shadows, capacity)
        self.served = {**self.served, route.model: served}
        self._direct.pop(route.model, None)
        self.failures.pop(route.model, None)
        now = {variant.model.version for variant in served.everyone}
        for version in before | now:
            metrics.LOADED.labels(route.model, version).set(version in now)
        shares = ", ".join(f"{v.name}={v.version}@{'shadow' if v.shadow else v.weight}" for v in route.variants)
        log.info("route of %s is now revision %d: %s", route.model, route.revision, shares)

    # Following the routing table

    async def follow(self) -> None:
        """Restore the routing table, then take over what other processes change in it; runs until cancelled."""
        while True:
            try:
                await self._refresh()
            except Exception:
                log.exception("the routing table could not be followed; trying again")
            await asyncio.sleep(self._platform.serving.refresh_seconds)

    async def _refresh(self) -> None:
        before = self.served
        routes = await asyncio.to_thread(self._stored_routes)
        if routes is None:
            return
        for model, served in before.items():
            if served.route.revision and model not in routes and self.served.get(model) is served:
                self.forget(model)  # another process took it out
        changed = [route for route in routes.values() if self._is_news(route)]
        await asyncio.gather(*map(self._restore, changed))
        if changed:
            await asyncio.to_thread(self.keep_snapshot)
        self.ready = self.pinned is None or self.pinned.model in self.served
        if self.pinned is not None:
            return
        for model in await asyncio.to_thread(lambda: [file.stem for file in spec_files()]):
            if model not in routes and _is_due(self._looked_at, model):
                self._looked_at[model] = monotonic()
                await self._serve_champion(model)

    def _stored_routes(self) -> dict[str, Route] | None:
        """Return the stored routes; while the database is away those of the last snapshot, once, then None."""
        if self.pinned is not None:
            return {self.pinned.model: self.pinned}
        try:
            return self._store.all()
        except UNAVAILABLE as error:
            if self.ready:
                return None
            log.warning("the routes are restored from %s: the database does not answer (%s)", self._snapshot, error)
            if not self._snapshot.is_file():
                return None
            entries = msgspec.json.decode(self._snapshot.read_bytes(), type=list[dict[str, Any]])
            return {
                entry["model"]: Route(entry["model"], tuple(Variant(**v) for v in entry["variants"]), entry["revision"])
                for entry in entries
            }

    def _is_news(self, route: Route) -> bool:
        served = self.served.get(route.model)
        if served is not None and route.revision < served.route.revision:
            return False  # read before the latest change
        if served is not None and route != served.route:
            return True
        return (served is None or route.model in self.failures) and _is_due(self._failed_at, route.model)

    async def _restore(self, route: Route) -> None:
        """Serve ``route`` with the versions that can be loaded; the rest is tried again later."""
        async with self.locks[route.model]:
            if not self._is_news(route):  # a request was faster
                return
            models, reasons = {}, []
            for version in dict.fromkeys(variant.version for variant in route.variants):
                try:
                    models[version] = await self.load(route.model, version)
                except ServingError as error:
                    reasons.append(error.message)
            served = self.served.get(route.model)
            same = served is not None and served.route == route and set(self.versions(route.model)) >= set(models)
            if not same and any(variant.version in models and not variant.shadow for variant in route.variants):
                self.swap(route, models)
            if reasons:
                self._failed_at[route.model] = monotonic()
                self.failures[route.model] = "; ".join(reasons)
                log.error("%s: %s", route.model, self.failures[route.model])

    async def _serve_champion(self, model: str) -> None:
        """Serve a model that was never released by its champion alias, if it has one.

        The number is kept beside the cached package, so that a restart works while the registry is away.
        """
        kept = self._platform.home / "cache" / "models" / model / "champion"
        try:
            version = await asyncio.to_thread(champion_number, self._platform, model)
        except ServingError:
            version = kept.read_text(encoding="ascii") if kept.is_file() else None
        if version is None:
            return
        await self._restore(Route(model, (Variant("champion", version, 100),)))
        if version in self.versions(model):
            kept.write_text(version, encoding="ascii")

    def keep_snapshot(self) -> None:
        """Keep the routes on the local disk too, for a start while the database is away."""
        routes = [served.route.as_dict() for served in self.served.values() if served.route.revision]
        self._snapshot.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._snapshot.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(msgspec.json.encode(routes))
        temporary.replace(self._snapshot)

    def close(self) -> None:
        """End the threads; what they are doing is finished first."""
        for pool in (self._loader, self._predictors, self._shadows):
            pool.shutdown(wait=True, cancel_futures=True)


def _pinned(platform: Platform) -> Route | None:
    """Return the route of a server that serves one version alone, or None."""
    if not platform.serving.pinned:
        return None
    model, version = platform.serving.pinned.split("/")
    return Route(model, (Variant(f"v{version}", version, 100),))


def _is_due(since: dict[str, float], model: str) -> bool:
    """Tell whether the last try with ``model`` is long enough ago."""
    return monotonic() - since.get(model, -RETRY_SECONDS) >= RETRY_SECONDS
