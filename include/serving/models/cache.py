"""The prediction cache: answers to rows that come again, in this process or in Redis.

An answer is known by its model, version, package and checked row: two rows that a model reads alike share it. A cached
answer is counted and recorded like any other, under the id of its own request.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from include.inference.scorer import Row
from include.serving.models.loaded import LoadedModel
from include.serving.observability.metrics import Tally
from include.specs import FactoryError
from include.specs.platform import Serving

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)
Output = dict[str, Any]
REDIS_SECONDS = 0.05
"""How long Redis may take to find or keep answers."""
PAUSE_SECONDS = 5.0
"""How long Redis is left alone after it failed: a request must not wait for it again and again."""


class Cache(ABC):
    """Finds and keeps answers, many at once. Never raises, never delays an answer for long."""

    @abstractmethod
    async def find_all(self, model: LoadedModel, rows: Sequence[Row], tally: Tally) -> list[Output | None]:
        """Return the answers that are known, None for the others, and count both."""

    @abstractmethod
    async def keep_all(self, model: LoadedModel, rows: Sequence[Row], outputs: Sequence[Output]) -> None:
        """Keep answers."""

    async def close(self) -> None:  # noqa: B027 - only Redis has connections
        """Let go of connections."""


class MemoryCache(Cache):
    """The answers asked for last, in this process."""

    def __init__(self, rows: int, ttl_seconds: float) -> None:
        self._most, self._ttl = rows, ttl_seconds
        self._answers: OrderedDict[tuple[str, Row], tuple[float, Output]] = OrderedDict()

    def find(self, model: LoadedModel, row: Row, tally: Tally) -> Output | None:
        """Return the answer to one row, or None."""
        key = (model.fingerprint, row)
        kept = self._answers.get(key)
        if kept is None or kept[0] < monotonic():
            tally.missed += 1
            return None
        self._answers.move_to_end(key)
        tally.cached += 1
        return kept[1]

    def keep(self, model: LoadedModel, row: Row, output: Output) -> None:
        """Keep the answer to one row; the one not asked for longest leaves."""
        key = (model.fingerprint, row)
        self._answers[key] = (monotonic() + self._ttl, output)
        self._answers.move_to_end(key)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)

    async def find_all(self, model: LoadedModel, rows: Sequence[Row], tally: Tally) -> list[Output | None]:
        """See `Cache.find_all`."""
        return [self.find(model, row, tally) for row in rows]

    async def keep_all(self, model: LoadedModel, rows: Sequence[Row], outputs: Sequence[Output]) -> None:
        """See `Cache.keep_all`."""
        for row, output in zip(rows, outputs, strict=True):
            self.keep(model, row, output)


class RedisCache(Cache):
    """Answers in Redis, shared by all workers and servers that name it."""

    def __init__(self, uri: str, ttl_seconds: float) -> None:
        self._uri, self._ttl_ms = uri, max(1, int(ttl_seconds * 1000))
        self._client: Redis | None = None
        self._silent_until = 0.0

    async def find_all(self, model: LoadedModel, rows: Sequence[Row], tally: Tally) -> list[Output | None]:
        """See `Cache.find_all`; nothing is known while Redis is away."""
        found = await self._ask(lambda client: client.mget([_key(model, row) for row in rows]))
        outputs = [None if text is None else _decoded(text) for text in found or [None] * len(rows)]
        hits = sum(output is not None for output in outputs)
        tally.cached += hits
        tally.missed += len(rows) - hits
        return outputs

    async def keep_all(self, model: LoadedModel, rows: Sequence[Row], outputs: Sequence[Output]) -> None:
        """See `Cache.keep_all`."""

        def fill(client: Redis) -> Any:
            pipeline = client.pipeline(transaction=False)
            for row, output in zip(rows, outputs, strict=True):
                pipeline.set(_key(model, row), msgspec.json.encode(output), px=self._ttl_ms)
            return pipeline.execute()

        await self._ask(fill)

    async def _ask(self, command: Any) -> Any:
        """Return what Redis answers, None when it does not."""
        from redis.exceptions import RedisError

        if monotonic() < self._silent_until:
            return None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                return await command(self._connected())
        except (RedisError, OSError, TimeoutError) as error:
            self._silent_until = monotonic() + PAUSE_SECONDS
            log.warning("the prediction cache does not answer (%s); going on without it", type(error).__name__)
            return None

    def _connected(self) -> Redis:
        if self._client is None:
            from redis.asyncio import Redis

            self._client = Redis.from_url(self._uri, socket_connect_timeout=REDIS_SECONDS)
        return self._client

    async def close(self) -> None:
        """See `Cache.close`."""
        if self._client is not None:
            await self._client.aclose()


def open_cache(settings: Serving) -> MemoryCache | RedisCache | None:
    """Return the cache that the settings name, None when it is off.

    Raises:
        FactoryError: it is none that there is.
    """
    scheme = urlsplit(settings.cache).scheme
    if settings.cache == "off":
        return None
    if settings.cache == "memory":
        return MemoryCache(settings.cache_rows, settings.cache_ttl_seconds)
    if scheme in ("redis", "rediss", "unix"):
        return RedisCache(settings.cache, settings.cache_ttl_seconds)
    raise FactoryError(
        f"serving.cache: '{scheme or settings.cache}' is no cache; use off, memory or redis://host:port/0"
    )


def _key(model: LoadedModel, row: Row) -> str:
    digest = blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"model-factory:{model.fingerprint}:{digest}"


def _decoded(text: bytes) -> Output | None:
    """Return a kept answer; whatever else stands under its key is none."""
    try:
        output: Output = msgspec.json.decode(text, type=dict[str, Any])
    except ValueError:
        return None
    return output if "label" in output else None
