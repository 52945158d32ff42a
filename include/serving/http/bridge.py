"""From granian's RSGI to ASGI, for what FastAPI answers: the body is read already, the answer comes in one piece."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote

from include.serving.http.data_plane import Reply
from include.serving.observability.sight import Seen

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


async def ask(app: App, scope: Any, protocol: Any, body: bytes, seen: Seen | None = None) -> Reply:
    """Return what an ASGI application answers.

    Args:
        app: the application.
        scope: RSGI scope of the request.
        protocol: RSGI protocol of the request.
        body: its whole body.
        seen: who is told which endpoint answered.
    """
    given = False
    status = 500
    headers: Sequence[tuple[bytes, bytes]] = ()
    parts: list[bytes] = []

    async def receive() -> Message:
        nonlocal given
        if given:
            await protocol.client_disconnect()
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], message["headers"]
        else:
            parts.append(message.get("body", b""))

    asked = _asgi(scope)
    await app(asked, receive, send)
    if seen is not None and (route := asked.get("route")):
        seen.path = route.path
    texts = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    return Reply(b"".join(parts), status, tuple(pair for pair in texts if pair[0] != "content-length"))


def _asgi(scope: Any) -> Message:
    """Return an RSGI scope as an ASGI one."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in scope.headers.items()]
    if scope.authority and "host" not in scope.headers:
        headers.append((b"host", scope.authority.encode("latin-1")))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "scheme": scope.scheme,
        "path": scope.path,
        "raw_path": quote(scope.path).encode("ascii"),
        "query_string": scope.query_string.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": _address(scope.client),
        "server": _address(scope.server),
    }


def _address(text: str) -> tuple[str, int] | None:
    """Return ``host:port`` in two parts, None for the address of a unix socket."""
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else None
