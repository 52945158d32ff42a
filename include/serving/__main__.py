"""Start the model server: ``python -m include.serving --host 127.0.0.1 --port 8500``."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before any numeric library starts its threads: rows come one by one

import argparse
import socket
import subprocess
import sys
import time

from include.serving.observability import logs
from include.serving.peers import Peers
from include.serving.workers import METRICS_FOLDER, Workers, die_with, folder_of
from include.specs import FactoryError, Platform, load_platform
from include.store.tls import server_tls

PORT_SECONDS = 1.0
"""How long the port may still be held by workers of a server that was killed a moment ago."""
SWITCH_SECONDS = 0.0005
"""How long a thread (a load, a large batch) may hold the interpreter while the event loop waits for it."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are then answered, and the log is committed."""
    parser = argparse.ArgumentParser(prog="python -m include.serving", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8500, help="port to listen on")
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # see `Workers`
    options = parser.parse_args(arguments)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        platform = load_platform()
        logs.configure(platform.serving.log_format)
        if options.worker:
            return _serve(platform, options.host, options.port, options.worker)
        server_tls(platform)  # what is wrong with it is said once, not by every worker
        _check_port(options.host, options.port)
        if platform.serving.pinned and (code := _fetch(platform)):
            return code
        if platform.serving.workers == 1:
            os.environ.pop(METRICS_FOLDER, None)  # another server's: its numbers are not ours
            return _serve(platform, options.host, options.port)
        command = (
            sys.executable, "-m", "include.serving", "--host", options.host, "--port", str(options.port),
            "--worker",
        )  # fmt: skip
        return Workers(command, platform.serving.workers, folder_of(platform, options.port)).run()
    except FactoryError as error:
        print(error, file=sys.stderr)
        return 1


def _serve(platform: Platform, host: str, port: int, worker: str | None = None) -> int:
    """Answer in this process: the only one, or a worker among others."""
    import uvloop

    peers = None
    if worker:
        parent, _, number = worker.partition("/")
        die_with(int(parent))
        peers = Peers(folder_of(platform, port), int(number))
    from include.serving.worker import serve  # what it imports takes most of a start; the parent of workers needs none

    uvloop.run(serve(platform, host, port, peers))
    return 0


def _fetch(platform: Platform) -> int:
    """Bring the version that is served alone into the cache; return an exit code, 0 when it is there."""
    from include.serving.models.fetch import cached

    model, version = platform.serving.pinned.split("/")
    if cached(platform, model, version):
        return 0
    command = [sys.executable, "-m", "include.serving.models.fetch", model, version]
    return subprocess.run(command, check=False).returncode


def _check_port(host: str, port: int) -> None:
    """Refuse a port that is taken: the workers' sockets share theirs, with another server too.

    Raises:
        FactoryError: it is taken, or there is no such address.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"cannot listen on {host}:{port} ({error}); free it, or choose another with --port"
                raise FactoryError(message) from error
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
