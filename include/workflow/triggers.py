"""The trigger that watches signals and tells Airflow of each retraining request, at least once.

A request is marked as announced only when Airflow confirms that the event is in its database. A triggerer that is
killed in between leaves the request unannounced, and its successor announces it again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

import sqlalchemy as sa
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from include.specs.errors import FactoryError
from include.specs.platform import load_platform
from include.store.signals import RetrainingRequest, SignalStore

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
_AWAY = (sa.exc.SQLAlchemyError, FactoryError)


class _Board:
    """The open requests of every model, read by one query however many models are watched."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._requests: list[RetrainingRequest] = []

    def of(self, model: str, max_age: float) -> list[RetrainingRequest]:
        """Return the model's unannounced requests as of at most ``max_age`` seconds ago. Blocks: call in a thread."""
        with self._lock:
            if time.monotonic() - self._read_at > max_age:
                self._requests = SignalStore(load_platform()).unannounced()
                self._read_at = time.monotonic()
            return [request for request in self._requests if request.model == model]


_BOARD = _Board()


class SignalProducer(SharedStreamProducer):
    """Read a model's open requests, and mark those that Airflow has taken."""

    def __init__(self, model: str, poll_seconds: float) -> None:
        self._model, self._poll_seconds = model, poll_seconds
        self._told: set[int] = set()
        self._to_mark: list[int] = []

    async def open_stream(self) -> AsyncIterator[tuple[RetrainingRequest, int]]:
        """Yield each open request once, for ever; a database that is away is asked again at the next poll."""
        while True:
            try:
                await self._mark()
                for request in await asyncio.to_thread(_BOARD.of, self._model, self._poll_seconds / 2):
                    if request.id not in self._told:
                        self._told.add(request.id)
                        yield request, request.id
            except _AWAY as error:
                log.warning("signals of '%s' cannot be read now: %s", self._model, error)
            await asyncio.sleep(self._poll_seconds)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Mark the requests whose events Airflow has stored; announce the others again."""
        for request_id, outcome in batch:
            if outcome.is_clean:
                self._to_mark.append(request_id)
            else:
                self._told.discard(request_id)
        try:
            await self._mark()
        except _AWAY as error:
            log.warning("requests %s of '%s' are marked later: %s", self._to_mark, self._model, error)

    async def _mark(self) -> None:
        while self._to_mark:
            request_id = self._to_mark.pop(0)
            try:
                await asyncio.to_thread(SignalStore(load_platform()).mark_announced, request_id)
            except BaseException:
                self._to_mark.insert(0, request_id)
                raise


class SignalTrigger(BaseEventTrigger):
    """Fire once for each retraining that monitoring asks for.

    Attributes:
        model: whose signals to watch.
        poll_seconds: how often to look.
    """

    def __init__(self, model: str, poll_seconds: float = POLL_SECONDS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model, self.poll_seconds = model, poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again in the triggerer."""
        return "include.workflow.triggers.SignalTrigger", {"model": self.model, "poll_seconds": self.poll_seconds}

    def shared_stream_key(self) -> Hashable:
        """Give each model a stream of its own: a stream's confirmation speaks for all who read it."""
        return ("factory-signals", self.model)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SignalProducer:
        """Return the reader of the model's requests, which Airflow tells when an event is stored."""
        return SignalProducer(kwargs["model"], kwargs.get("poll_seconds", POLL_SECONDS))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Turn each request into the event that starts model_retraining."""
        async for request in shared_stream:
            yield TriggerEvent(  # type: ignore[no-untyped-call]
                {
                    "model": request.model,
                    "request": request.id,
                    "window_start": request.window_start.isoformat(),
                    "reason": request.reason,
                }
            )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Never used: the triggerer reads triggers with a stream through `filter_shared_stream`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("SignalTrigger is read through its shared stream")
        yield
