"""A system as a process: started, timed until its first answer, checked, weighed, stopped."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import psutil

from benchmarks.serving.dialects import Row
from benchmarks.serving.model import Served
from benchmarks.serving.systems import System
from include.specs import ROOT, FactoryError

START_SECONDS, STOP_SECONDS = 120, 20
TOLERANCE = 1e-3
CHECKED_SINGLY = 50


class BenchError(FactoryError):
    """A system does not start, or answers something else than the others."""


@dataclass(frozen=True)
class Running:
    """A system that answers.

    Attributes:
        home: folder that only this process has; our server keeps its state there.
        cold_start: seconds from the start of the process to its first prediction.
    """

    system: System
    process: subprocess.Popen[bytes]
    port: int
    home: str
    cold_start: float

    def ask(self, rows: Sequence[Row]) -> list[float]:
        """Return the probability of class 1 of each row.

        Raises:
            BenchError: the answer is not 200.
            OSError: there is no answer.
        """
        return _ask(self.system, self.port, rows)

    def check(self, served: Served) -> None:
        """Hold single answers and a batch against the model's own probabilities.

        Raises:
            BenchError: they differ.
        """
        rows = served.rows.tolist()
        answers = [self.ask([row])[0] for row in rows[:CHECKED_SINGLY]] + self.ask(rows)
        expected = [*served.expected[:CHECKED_SINGLY], *served.expected]
        difference = float(np.abs(np.array(answers) - np.array(expected)).max())
        if len(answers) != len(expected) or difference > TOLERANCE:
            raise BenchError(f"{self.system.name}: its probabilities differ from the model's by {difference:.2g}")

    def memory(self) -> tuple[float, float]:
        """Return resident and proportional set size (MiB) of the process and all that it started."""
        resident = proportional = 0
        parent = psutil.Process(self.process.pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                info = process.memory_full_info()
                resident, proportional = resident + info.rss, proportional + info.pss
        return resident / (1 << 20), proportional / (1 << 20)


@contextmanager
def running(system: System, served: Served, ports: Sequence[int], log: Path) -> Iterator[Running]:
    """Run ``system`` until the block ends; it listens on the first of three ``ports``.

    Raises:
        BenchError: it does not answer; the message ends with its log.
    """
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:  # a backlog of one run must not burden the next
        shutil.copytree(served.folder / "home", home, dirs_exist_ok=True)
        with _running(system, served, ports, log, home) as server:
            yield server


@contextmanager
def _running(system: System, served: Served, ports: Sequence[int], log: Path, home: str) -> Iterator[Running]:
    known = {
        "folder": str(served.folder), "port": str(ports[0]), "other": str(ports[1]), "third": str(ports[2]),
        "home": home, "root": str(ROOT), "path": f"{system.python.parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    _require_free(ports)
    command = [part.format(**known) for part in system.command]
    environment = {**os.environ, **{name: value.format(**known) for name, value in system.environment.items()}}
    with log.open("wb") as output:
        process, seconds = _start(system, command, environment, output, ports[0], served.rows[0].tolist(), log)
        try:
            yield Running(system, process, ports[0], home, seconds)
        finally:
            _stop(process)


def _start(
    system: System, command: list[str], environment: dict[str, str], output: IO[bytes], port: int, row: Row, log: Path
) -> tuple[subprocess.Popen[bytes], float]:
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        start_new_session=True,
    )  # fmt: skip
    while (seconds := time.perf_counter() - started) < START_SECONDS and process.poll() is None:
        with suppress(OSError, http.client.HTTPException, BenchError):
            _ask(system, port, [row])
            return process, time.perf_counter() - started
        time.sleep(0.01)
    _stop(process)
    tail = log.read_text(errors="replace")[-2000:]
    raise BenchError(f"{system.name}: gave no answer in {seconds:.0f} s; its log ends:\n{tail}")


def _ask(system: System, port: int, rows: Sequence[Row]) -> list[float]:
    path, body = system.dialect.request(rows)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"{system.name}: answered {response.status}: {content[:300].decode(errors='replace')}")
    return system.dialect.read(json.loads(content))


def _require_free(ports: Sequence[int]) -> None:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise BenchError(f"port {port} is taken; choose others with --port") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group: by SIGTERM, then by SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    # the leader is gone; a worker that outlived it would disturb the next system
    while _group_alive(process.pid):
        time.sleep(0.05)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
