"""A real PostgreSQL server on a free port of the loopback interface, from the binaries of the distribution."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

PASSWORD = "swordfish"


def binaries() -> Path | None:
    """Return the folder of the newest installed server, or None when there is none that this user may start."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    may_start = os.geteuid() != 0 or shutil.which("runuser")
    return found[-1].parent if found and may_start else None


class Postgres:
    """A server with an empty database, which can be stopped and started again with what it holds.

    Attributes:
        uri: its SQLAlchemy URI, with a password.
    """

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        programs = binaries()
        if programs is None:
            pytest.skip("there are no PostgreSQL server binaries below /usr/lib/postgresql, or no runuser")
        self.uri = f"postgresql://factory:{PASSWORD}@{address}:{port}/postgres"
        self._programs, self._port, self._address = programs, port, address
        # not below pytest's folder, which is closed to the user that the server runs as
        self._folder = Path(tempfile.mkdtemp(prefix="factory-postgres-"))
        self._as_server: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self._folder, "postgres")
            self._as_server = ["runuser", "-u", "postgres", "--"]
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the empty database."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        initdb = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", "factory"]
        options = ["-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
        subprocess.run([*self._as_server, *initdb, *options], check=True, capture_output=True, cwd="/")
        with (self._folder / "data" / "pg_hba.conf").open("a") as rules:  # whoever reaches the address may log in
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = [f"listen_addresses={self._address}", "fsync=off", f"unix_socket_directories={self._folder}"]
        # far from UTC, so that a forgotten zone shows
        settings += [f"port={self._port}", "timezone=Pacific/Auckland"]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *(f"--{s}" for s in settings)]
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._as_server, *command], stdout=output, stderr=output, cwd="/", start_new_session=True
            )
        _wait(self.uri, self._process, log)

    def signal(self, number: int) -> None:
        """Send a signal to the server and all its processes."""
        assert self._process
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """Stop the server; what it holds stays."""
        if self._process is None:
            return
        self.signal(signal.SIGINT)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Stop the server, and forget what it held."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def postgres_running(port: int, address: str = "127.0.0.1") -> Iterator[str]:
    """Run a server with an empty database until the block ends; give its SQLAlchemy URI, with a password."""
    server = Postgres(port, address)
    try:
        server.make()
        server.start()
        yield server.uri
    finally:
        server.remove()


def _wait(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg2.connect(uri).close()
        except psycopg2.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        else:
            return
