"""Several workers on one port: starts them, starts them again when they die, and ends them together.

The kernel spreads connections over the workers, which each have a listening socket of their own. No worker outlives
this process, whatever ends it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from include.specs import Platform

log = logging.getLogger(__name__)
YOUNG_SECONDS, LONGEST_PAUSE = 5.0, 10.0
LOOK_SECONDS = 0.05
END_SECONDS = 40.0
PR_SET_PDEATHSIG = 1
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Variable by which prometheus_client knows the folder of the workers' numbers; it reads it when it is imported."""


def folder_of(platform: Platform, port: int) -> Path:
    """Return where the workers of the server on ``port`` keep their sockets and numbers."""
    return platform.home / "serving" / str(port)


class Workers:
    """The workers of one server.

    Args:
        command: starts a worker when ``<this process's id>/<its number>`` is appended.
        count: how many there are.
        folder: of their sockets and numbers.
    """

    def __init__(self, command: Sequence[str], count: int, folder: Path) -> None:
        self._command, self._count, self._folder = command, count, folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._born: dict[int, float] = {}
        self._pauses = dict.fromkeys(range(count), 0.0)
        self._stopping = threading.Event()

    def run(self) -> int:
        """Keep the workers running until SIGTERM or SIGINT; return the exit code."""
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: self._stopping.set())
        shutil.rmtree(self._folder, ignore_errors=True)
        os.environ[METRICS_FOLDER] = str(self._folder / "metrics")
        (self._folder / "metrics").mkdir(mode=0o700, parents=True)
        self._folder.chmod(0o700)
        for number in range(self._count):
            self._start(number)
        code = 0
        while not self._stopping.wait(LOOK_SECONDS) and not code:
            code = self._look()
        self._end()
        return code

    def _start(self, number: int) -> None:
        self._born[number] = time.monotonic()
        self._processes[number] = subprocess.Popen([*self._command, f"{os.getpid()}/{number}"])

    def _look(self) -> int:
        """Start workers that died again; return the exit code of one that refused to start, 0 when there is none."""
        for number, process in list(self._processes.items()):
            code = process.poll()
            if code is None:
                continue
            if code > 0 and time.monotonic() - self._born[number] < YOUNG_SECONDS:
                return code  # it said why
            self._bury(number, process.pid, code)
        for number in range(self._count):
            since = self._born[number] + self._pauses[number]
            if number not in self._processes and since <= time.monotonic() and not self._stopping.is_set():
                self._start(number)
        return 0

    def _bury(self, number: int, pid: int, code: int) -> None:
        """Note the death of a worker; one that dies young is started more and more slowly."""
        from prometheus_client.multiprocess import mark_process_dead

        from include.serving.observability import metrics

        young = time.monotonic() - self._born[number] < YOUNG_SECONDS
        self._pauses[number] = min(max(2 * self._pauses[number], 0.5), LONGEST_PAUSE) if young else 0.0
        log.error("worker %d ended with code %d; starting it again", number, code)
        mark_process_dead(pid, os.environ[METRICS_FOLDER])  # type: ignore[no-untyped-call]
        metrics.WORKER_RESTARTS.inc()
        del self._processes[number]

    def _end(self) -> None:
        """Ask all workers to end, and wait for them."""
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("a worker did not end in time; it is killed")
                process.kill()
                process.wait()


def die_with(parent: int) -> None:
    """Let this process be killed when ``parent`` is: nobody would start it again, or end it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
