"""How the workers of one server speak to each other: a unix socket each, in a folder for their user alone."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from include.serving.errors import ServingError

log = logging.getLogger(__name__)
LONGEST_LINE = 1 << 26
PATIENCE_SECONDS = 300.0
"""How long a worker may take to load what another one asks for."""
Message = dict[str, Any]


class Peers:
    """The other workers of this server. One that dies, or is not there yet, is left out.

    Args:
        folder: where the sockets are.
        number: which of the workers this one is.
    """

    def __init__(self, folder: Path, number: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._name = folder, f"{number}.sock"
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._server: asyncio.Server | None = None

    async def start(self, answer: Callable[[Message], Awaitable[Any]]) -> None:
        """Answer what others ask by ``answer``, which may raise `ServingError`."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                request = msgspec.json.decode(await reader.readline())
                try:
                    reply = {"answer": await answer(request)}
                except ServingError as error:
                    reply = {"refusal": [error.status, error.code, error.message]}
                except Exception:
                    log.exception("another worker could not be answered")
                    reply = {"refusal": [500, "internal", "a worker broke; its log says more"]}
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()
            writer.close()

        (self._folder / self._name).unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(serve, self._path(self._name), limit=LONGEST_LINE)

    async def ask(self, **request: Any) -> list[Any]:
        """Return the answers of all other workers to ``request``.

        Raises:
            ServingError: one of them refused.
        """
        others = [socket.name for socket in self._folder.glob("*.sock") if socket.name != self._name]
        replies = await asyncio.gather(*(self._ask_one(name, request) for name in others))
        there = [reply for reply in replies if reply is not None]
        for reply in there:
            if refusal := reply.get("refusal"):
                raise ServingError(*refusal)
        return [reply["answer"] for reply in there]

    async def _ask_one(self, name: str, request: Message) -> Message | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path(name), limit=LONGEST_LINE)
                try:
                    writer.write(msgspec.json.encode(request) + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None
        reply: Message | None = msgspec.json.decode(line) if line else None
        return reply

    def _path(self, name: str) -> str:
        """Return a short path: that of a unix socket may have 107 characters, and homes lie deeper than that."""
        return f"/proc/self/fd/{self._descriptor}/{name}"

    async def stop(self) -> None:
        """Be there no more."""
        if self._server:
            self._server.close()
        (self._folder / self._name).unlink(missing_ok=True)
        os.close(self._descriptor)
