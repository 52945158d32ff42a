"""What operators ask: routes, loads and statistics, done by all workers of the server before it answers."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from include.serving.errors import ServingError, unavailable
from include.serving.models.host import ModelHost
from include.serving.models.loaded import LoadedModel
from include.serving.observability.statistics import Counts
from include.serving.peers import Peers
from include.specs import FactoryError, Platform
from include.store.database import UNAVAILABLE
from include.store.routes import Route, RouteStore, Variant

PAUSE_SECONDS = 0.02


class Operation:
    """Changes what the server serves.

    Args:
        platform: where the routes are kept.
        host: the models of this worker.
        peers: the other workers, None when this process is all there is.
    """

    def __init__(self, platform: Platform, host: ModelHost, peers: Peers | None) -> None:
        self._host, self._peers, self._store = host, peers, RouteStore(platform)
        self._folder = platform.home / "cache" / "locks"
        self._prepared: dict[str, dict[str, LoadedModel]] = {}

    async def put(self, model: str, variants: Iterable[Variant]) -> Route:
        """Load and warm what the route needs, write it down, swap, and return it with its new revision.

        Every worker loads before anything is written; when one of them cannot, nothing changes.

        Raises:
            ServingError: 404 a version is not in the registry, 422 the route or a package is wrong, 503 the registry
                or the database is away. The former route then goes on answering.
        """
        try:
            route = Route(model, tuple(variants))
        except FactoryError as error:
            raise ServingError(422, "invalid_route", str(error)) from error
        self._refuse_if_pinned()
        versions = list(dict.fromkeys(variant.version for variant in route.variants))
        async with self._alone(model), self._host.locks[model]:
            models = {version: await self._host.load(model, version) for version in versions}
            await self._ask(do="prepare", model=model, versions=versions)
            try:
                route = await asyncio.to_thread(self._store.put, route)
            except UNAVAILABLE as error:
                raise unavailable(
                    "the database that keeps the routes does not answer; the route is unchanged"
                ) from error
            self._host.swap(route, models)
            await self._ask(
                do="swap", model=model, variants=[asdict(v) for v in route.variants], revision=route.revision
            )
            await asyncio.to_thread(self._host.keep_snapshot)
        return route

    async def delete(self, model: str) -> None:
        """Take a model out: no version of it answers any more, and nothing remembers its route.

        Raises:
            ServingError: 404 there is no such route, 503 the database is away.
        """
        self._host.require(model)
        self._refuse_if_pinned()
        async with self._alone(model), self._host.locks[model]:
            try:
                await asyncio.to_thread(self._store.delete, model)
            except UNAVAILABLE as error:
                message = "the database that keeps the routes does not answer; the route is unchanged"
                raise unavailable(message) from error
            self._host.forget(model)
            await self._ask(do="forget", model=model)
            await asyncio.to_thread(self._host.keep_snapshot)

    async def load(self, model: str, version: str) -> LoadedModel:
        """Load and warm a version without giving it traffic; ``/versions/{v}/predict`` then reaches it."""
        async with self._alone(model):
            loaded = await self._load(model, version)
            await self._ask(do="load", model=model, version=version)
        return loaded

    async def statistics(self, model: str) -> dict[str, Any]:
        """Return what each variant did since the current revision of the route, in all workers together."""
        served = self._host.find(model)[0]
        revision, variants = served.route.revision, self._counts(model)[1]
        for others, counts in await self._ask(do="statistics", model=model):
            if others == revision:
                for name, encoded in counts.items():
                    theirs = msgspec.convert(encoded, Counts)
                    variants[name] = variants[name] + theirs if name in variants else theirs
        return {"revision": revision, "variants": {name: counts.as_dict() for name, counts in variants.items()}}

    async def answer_peer(self, message: dict[str, Any]) -> Any:
        """Do what another worker asks."""
        model = message["model"]
        if message["do"] == "statistics":
            revision, counts = self._counts(model)
            return [revision, {name: msgspec.to_builtins(one) for name, one in counts.items()}]
        if message["do"] == "load":
            await self._load(model, message["version"])
            return None
        async with self._host.locks[model]:
            if message["do"] == "prepare":
                self._prepared[model] = {
                    version: await self._host.load(model, version) for version in message["versions"]
                }
            elif message["do"] == "forget":
                self._host.forget(model)
            else:
                await self._take(Route(model, tuple(Variant(**v) for v in message["variants"]), message["revision"]))
        return None

    def _refuse_if_pinned(self) -> None:
        """Leave the routing table alone where it is not followed.

        Raises:
            ServingError: 409, this server serves one version alone.
        """
        if (pinned := self._host.pinned) is not None:
            name = f"{pinned.model} version {pinned.variants[0].version}"
            raise ServingError(409, "pinned", f"this server serves {name} alone; change the release on its target")

    async def _take(self, route: Route) -> None:
        """Serve a route that another worker wrote down."""
        served = self._host.served.get(route.model)
        if served is not None and served.route.revision >= route.revision:
            return  # read from the database already
        prepared = self._prepared.pop(route.model, {})
        versions = {variant.version for variant in route.variants}
        self._host.swap(route, {v: prepared.get(v) or await self._host.load(route.model, v) for v in versions})

    async def _load(self, model: str, version: str) -> LoadedModel:
        async with self._host.locks[model]:
            loaded = await self._host.load(model, version)
            self._host.hold(loaded)
        return loaded

    def _counts(self, model: str) -> tuple[int, dict[str, Counts]]:
        """Return the revision that this worker serves, and what its variants did."""
        served = self._host.served.get(model)
        if served is None:
            return 0, {}
        return served.route.revision, {one.name: one.statistics.as_counts() for one in served.everyone}

    async def _ask(self, **request: Any) -> list[Any]:
        return [] if self._peers is None else await self._peers.ask(**request)

    @asynccontextmanager
    async def _alone(self, model: str) -> AsyncIterator[None]:
        """Let one worker at a time change a model: two that wait for each other would wait for ever."""
        if self._peers is None:
            yield
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / Path(f"{model}.lock").name).open("w") as lock:
            while not _try_lock(lock.fileno()):  # noqa: ASYNC110 - for another process
                await asyncio.sleep(PAUSE_SECONDS)
            yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
