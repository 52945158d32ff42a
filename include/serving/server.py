"""The whole server of one process: its parts, in the order in which they start and end."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from time import monotonic
from typing import Any

from include.serving.http import app
from include.serving.http.bodies import BodyReader
from include.serving.http.data_plane import DataPlane
from include.serving.http.front import Front
from include.serving.http.operation import Operation
from include.serving.log.recorder import Recorder
from include.serving.models.cache import RedisCache, open_cache
from include.serving.models.explanations import Explanations
from include.serving.models.host import ModelHost
from include.serving.models.online import OnlineLookup
from include.serving.models.predictor import Predictor
from include.serving.models.single import SingleRows
from include.serving.observability import metrics
from include.serving.observability.sight import sight
from include.serving.observability.signals import SignalFigures
from include.serving.open_inference.inference import OpenInference
from include.serving.peers import Peers
from include.serving.security.access import Access
from include.specs import Platform


class ModelServer:
    """Answers requests between `start` and `stop`.

    Attributes:
        front: the RSGI application.
        inference: answers tensors, for gRPC, which has a port of its own.
    """

    def __init__(self, platform: Platform, peers: Peers | None = None) -> None:
        self.host, self.recorder, self.access = ModelHost(platform), Recorder(platform), Access(platform)
        self._online = OnlineLookup(platform)
        self._bodies, self._sight = BodyReader(platform.serving), sight(platform)
        self._signals = SignalFigures(platform, lambda: self.host.models)
        self._cache = open_cache(platform.serving)
        seconds = platform.serving.predict_timeout_seconds
        self.predictor = Predictor(self.host, self.recorder, self._online, self._cache, seconds)
        single = None
        if not isinstance(self._cache, RedisCache):  # waiting for Redis is the long way
            single = SingleRows(self.host, self.recorder, self._cache, platform.serving.max_waiting_rows)
        self._explanations = Explanations(self.host, self.predictor, self._online)
        limit = platform.serving.max_rows
        self.inference = OpenInference(self.host, self.predictor, self._explanations, limit)
        plane = DataPlane(self.host, self.predictor, self._explanations, self.inference, self.recorder, single, limit)
        self._operation, self._peers = Operation(platform, self.host, peers), peers
        rest = app.build(self.host, self._operation, self.recorder, self.access, limit)
        self.front = Front(plane, rest, self.access, self._bodies, self._sight)
        self._following: asyncio.Future[Any] | None = None

    async def start(self) -> None:
        """Start the log writer, and follow the routing table, the keys and the clock."""
        await asyncio.to_thread(self.access.refresh)
        self.recorder.start()
        if self._peers:
            await self._peers.start(self._operation.answer_peer)
        self._following = asyncio.gather(
            self.host.follow(), self.access.follow(), self._bodies.watch(), self._flush_metrics(), self._freeze(),
            self._signals.follow(),
            *([self._sight.follow()] if self._sight else []),
        )  # fmt: skip

    async def until_ready(self, seconds: float) -> None:
        """Wait until the keys are known and the models of the routing table loaded, but no longer than ``seconds``."""
        deadline = monotonic() + seconds
        while not (self.access.ready and self.host.ready) and monotonic() < deadline:  # noqa: ASYNC110 - once a start
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Commit what was recorded, as far as the database allows; requests have ended before."""
        if self._following:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        if self._peers:
            await self._peers.stop()
        await asyncio.to_thread(self.host.close)
        self._explanations.close()
        self._online.close()
        if self._cache is not None:
            await self._cache.close()
        if self._sight:
            await asyncio.to_thread(self._sight.close)
        await self.recorder.stop()
        metrics.flush()

    async def _freeze(self) -> None:
        """Take what a start made out of garbage collection: looking through it again and again would delay requests."""
        while not self.host.ready:  # noqa: ASYNC110 - once a start
            await asyncio.sleep(0.1)
        gc.collect()
        gc.freeze()

    async def _flush_metrics(self) -> None:
        while True:
            await asyncio.sleep(metrics.FLUSH_SECONDS)
            self.host.measure()
            metrics.flush()
