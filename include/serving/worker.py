"""One process that answers: the server behind granian, from the first connection to the last committed record."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from include.serving.peers import Peers
from include.serving.server import ModelServer
from include.specs import Platform
from include.store.tls import ServerTls, server_tls

if TYPE_CHECKING:
    from include.serving.rpc.server import GrpcServer

GRACE_SECONDS = 15.0
"""How long requests under way may take after SIGTERM."""
READY_SECONDS = 10.0
"""How long a worker among others may load models before it takes requests: longer, and it says itself that it loads."""
BACKLOG = 2048


async def serve(platform: Platform, host: str, port: int, peers: Peers | None) -> None:
    """Answer on ``host:port`` until SIGTERM or SIGINT; requests under way are then answered."""
    tls = server_tls(platform)
    server = ModelServer(platform, peers)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    grpc = _grpc(server, platform, tls, host)
    await server.start()
    if peers:  # the others answer until this one can
        await server.until_ready(READY_SECONDS)
    if grpc:
        await grpc.start()
    listener = _listener(server, platform, tls, host, port)
    listening = asyncio.create_task(listener.serve())
    await asyncio.wait({listening, asyncio.create_task(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
    listener.stop()  # type: ignore[no-untyped-call]
    await asyncio.gather(asyncio.wait({listening}, timeout=GRACE_SECONDS), *([grpc.stop()] if grpc else []))
    await server.stop()
    if listening.done():
        listening.result()


def _grpc(server: ModelServer, platform: Platform, tls: ServerTls | None, host: str) -> GrpcServer | None:
    """Return the gRPC server, if the settings ask for one; only then is its library imported."""
    if platform.serving.grpc_port is None:
        return None
    from include.serving.rpc.server import GrpcServer

    return GrpcServer(platform.serving, host, server.host, server.inference, server.access, tls)


def _listener(server: ModelServer, platform: Platform, tls: ServerTls | None, host: str, port: int) -> Server:
    limits = platform.serving
    listener = Server(
        server.front,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        websockets=False,
        backlog=BACKLOG,
        backpressure=limits.max_connections,
        http1_settings=HTTP1Settings(header_read_timeout=int(limits.header_timeout_seconds * 1000)),
        log_enabled=False,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols(f"tls{limits.tls_version}"),
        ssl_ca=tls.client_ca if tls else None,
        ssl_client_verify=bool(tls and tls.client_ca),
    )
    logging.getLogger("_granian").setLevel(logging.ERROR)
    return listener
