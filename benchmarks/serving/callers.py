"""Callers that never pause, check every answer, and know exactly which predictions were acknowledged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from uuid import uuid4

import msgspec
import uvloop

TOLERANCE = 1e-3
ANSWER_SECONDS = 20.0
RETRY_SECONDS = 0.1


class Answer(msgspec.Struct):
    """What counts of an answer."""

    id: str
    version: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """A request without a right answer.

    Attributes:
        kind: ``refused`` (no connection, nothing was sent), ``broken`` (sent, no answer), ``status``, or ``wrong``.
    """

    at: float
    kind: str
    text: str


class Callers:
    """Connections to a server, each of which asks again as soon as it was answered; a context manager.

    Args:
        port: where the server listens.
        model: who is asked.
        rows: the features that are sent in turn.
        expected: version → the probabilities of each row.
        connections: callers at once.

    Attributes:
        acknowledged: monotonic time and id of each right answer, in the order of their arrival.
        failures: what went wrong.
        versions: who answered.
    """

    def __init__(
        self,
        port: int,
        model: str,
        rows: Sequence[dict[str, Any]],
        expected: Mapping[str, Sequence[dict[str, float]]],
        connections: int = 16,
    ) -> None:
        self._port, self._path, self._expected, self._connections = (
            port,
            f"/v1/models/{model}/predict",
            expected,
            connections,
        )
        self._features = [msgspec.json.encode(row) for row in rows]
        self._decoder = msgspec.json.Decoder(Answer)
        self._run = uuid4().hex[:8]
        self._stopped = False
        self._thread = threading.Thread(target=lambda: uvloop.run(self._call_all()), daemon=True)
        self.acknowledged: list[tuple[float, str]] = []
        self.failures: list[Failure] = []
        self.versions: set[str] = set()

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _at: TracebackType | None) -> None:
        self._stopped = True
        self._thread.join()

    def acknowledged_between(self, start: float, end: float) -> list[str]:
        """Return the ids that were acknowledged between two monotonic times, of the recent past."""
        found = []
        for at, name in reversed(self.acknowledged):
            if at < start:
                break
            if at < end:
                found.append(name)
        return found

    async def _call_all(self) -> None:
        await asyncio.gather(*map(self._call, range(self._connections)))

    async def _call(self, caller: int) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        number = 0
        while not self._stopped:
            number += 1
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                await self._failed("refused", error)
                continue
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._ask(*connection, f"{self._run}-{caller}-{number}", number % len(self._features))
            except (OSError, EOFError, TimeoutError) as error:
                connection[1].close()
                connection = None
                await self._failed("broken", error)
        if connection:
            connection[1].close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, row: int) -> None:
        body = b'{"id":"%s","features":%s}' % (name.encode(), self._features[row])
        head = f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answered = await reader.readuntil(b"\r\n\r\n")
        status = answered[9:12]
        length = answered.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        content = await reader.readexactly(int(length))
        if status != b"200":
            await self._failed("status", f"{status.decode()} {content[:200].decode(errors='replace')}")
            return
        answer = self._decoder.decode(content)
        expected = self._expected[answer.version][row]
        if answer.id != name or any(abs(p - expected[k]) > TOLERANCE for k, p in answer.probabilities.items()):
            await self._failed("wrong", f"{name}: {content.decode()}")
            return
        self.versions.add(answer.version)
        self.acknowledged.append((time.monotonic(), name))

    async def _failed(self, kind: str, reason: object) -> None:
        self.failures.append(Failure(time.monotonic(), kind, f"{type(reason).__name__}: {reason}"))
        await asyncio.sleep(RETRY_SECONDS)
