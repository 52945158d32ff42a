"""Reads the bodies of requests, within the bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import monotonic
from typing import Any, Protocol

from include.serving.errors import ServingError
from include.specs.platform import Serving

MOST_DISCARDED = 16
"""A body of more than this many times the limit is cut off in the middle."""


class Transport(Protocol):
    """The part of granian's RSGI protocol that gives the body, whole or in pieces."""

    async def __call__(self) -> bytes:
        """Return the whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces of the body."""


class BodyReader:
    """Reads bodies. One timer looks for the late ones: one a request would cost more than reading it."""

    def __init__(self, limits: Serving) -> None:
        self._max = int(limits.max_body_mb * (1 << 20))
        self._seconds = limits.body_timeout_seconds
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def read(self, headers: Mapping[str, str], http_version: str, transport: Transport) -> bytes:
        """Return the whole body.

        Raises:
            ServingError: 413 it is too large, 408 it takes too long, 400 its framing is broken.
        """
        declared = headers.get("content-length")
        if declared is None and "transfer-encoding" not in headers and http_version != "2":
            return b""
        task = asyncio.current_task()
        assert task is not None
        self._reading[task] = monotonic()
        try:
            if declared is not None and int(declared) <= self._max:
                return await transport()
            if declared is not None and "expect" in headers:
                raise self._too_large()  # the client waits for a word before it sends
            return await self._pieces(transport)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            message = f"the body did not arrive within {self._seconds:g} s"
            raise ServingError(408, "too_slow", message, headers={"connection": "close"}) from None
        except RuntimeError as error:  # what granian raises for a connection or a chunk that broke
            raise ServingError(400, "broken_body", "the body ended early or is wrongly framed") from error
        finally:
            del self._reading[task]
            self._late.discard(task)

    async def _pieces(self, transport: Transport) -> bytes:
        """Return the body; of one that is too large the rest is read and thrown away, up to a bound.

        Closing the connection on a client that is still sending would destroy the answer before it is read.
        """
        pieces: list[bytes] = []
        size = 0
        async for piece in transport:
            size += len(piece)
            if size > self._max * MOST_DISCARDED:
                break
            if size > self._max:
                pieces.clear()
            else:
                pieces.append(piece)
        if size > self._max:
            raise self._too_large()
        return b"".join(pieces)

    def _too_large(self) -> ServingError:
        message = f"the body is larger than {self._max / (1 << 20):g} MiB; send fewer rows at a time"
        return ServingError(413, "body_too_large", message, headers={"connection": "close"})

    async def watch(self) -> None:
        """Wake the requests whose body is late; runs until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._seconds / 4))
            oldest = monotonic() - self._seconds
            for task, since in list(self._reading.items()):
                if since < oldest and task not in self._late:
                    self._late.add(task)
                    task.cancel()
