"""A job in a process of its own: its phases timed, its memory and processor time watched, from outside."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.automl.job import Job
from include.specs import ROOT

PHASES = ("ready", "fitted", "packaged", "answered")
LOOK_SECONDS = 0.5
OTHER_SECONDS = 900.0
"""What every phase but the fit may take."""
FAR_BEYOND, AT_LEAST = 3.0, 120.0
"""A fit is ended when it has taken so many times its budget, and so many seconds more."""
STOP_SECONDS = 10.0
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}


@dataclass
class Watched:
    """What was seen of a job.

    Attributes:
        seconds: of each phase that was ended, by its name.
        peak_mib: largest sum, until the model was fitted, of the resident memory of all its processes; pages that they
            share count in each.
        others: cores that all else on this machine kept busy while it was fitted, on average.
        failure: why there is no answer; empty when there is one.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0
    others: float = 0.0
    failure: str = ""


def run(job: Job, python: Path) -> Watched:
    """Do ``job`` with the interpreter ``python`` in its folder and watch it; nothing of it is left running."""
    file = job.write()
    ours, theirs = os.pipe()
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(python), "-m", "benchmarks.automl.job", str(file), str(theirs)],
            cwd=job.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=(theirs,), start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, range(job.cores)),
        )  # fmt: skip
        os.close(theirs)
        tree = Tree(process.pid)
        try:
            watched = _watch(job, process, tree, ours)
        finally:
            tree.end()
            process.wait()
            os.close(ours)
        if not watched.failure and PHASES[-1] not in watched.seconds:
            watched.failure = f"ended by {_ending(process.returncode)}: {_last_line(log)}"
    return watched


def _watch(job: Job, process: subprocess.Popen[bytes], tree: Tree, pipe: int) -> Watched:
    watched, coming = Watched(), list(PHASES)
    busy = _busy(), 0.0
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        began = time.monotonic()
        while coming:
            allowed = FAR_BEYOND * job.budget + AT_LEAST if coming[0] == "fitted" else OTHER_SECONDS
            if time.monotonic() - began > allowed:
                watched.failure = f"not {coming[0]} after {allowed:.0f} s"
                break
            found = _announced(pipe) if selector.select(LOOK_SECONDS) else 0
            tree.look()
            if coming[0] in ("ready", "fitted"):
                watched.peak_mib = max(watched.peak_mib, tree.resident_mib)
            for phase in coming[:found]:
                now, spent = time.monotonic(), (_busy(), tree.processor_seconds)
                watched.seconds[phase], began = now - began, now
                if phase == "fitted":
                    wall = max(watched.seconds[phase], LOOK_SECONDS)
                    watched.others = max(0.0, (spent[0] - busy[0]) - (spent[1] - busy[1])) / wall
                busy = spent
            del coming[:found]
            if not found and process.poll() is not None:
                break
        if "fitted" not in watched.seconds:  # a failure, too, is evidence from a quiet machine alone
            wall = max(time.monotonic() - began, LOOK_SECONDS)
            watched.others = max(0.0, (_busy() - busy[0]) - (tree.processor_seconds - busy[1])) / wall
    return watched


def _announced(pipe: int) -> int:
    """Return how many phases have ended since the last look."""
    with suppress(BlockingIOError):
        if text := os.read(pipe, 4096):
            return text.count(b"\n")
    time.sleep(LOOK_SECONDS)  # the other end is closed: the process is ending
    return 0


class Tree:
    """A process and all that it started, and what they have used."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seen: dict[psutil.Process, float] = {}
        self.resident_mib = 0.0

    def look(self) -> None:
        """Look at what runs now."""
        members: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            members = [self._root, *self._root.children(recursive=True)]
        resident = 0
        for one in members:
            with suppress(psutil.NoSuchProcess), one.oneshot():
                times = one.cpu_times()
                self._seen[one] = times.user + times.system
                resident += one.memory_info().rss
        self.resident_mib = resident / (1 << 20)

    @property
    def processor_seconds(self) -> float:
        """Processor time that all of them have used, as far as it was seen."""
        return sum(self._seen.values())

    def end(self) -> None:
        """End whatever still runs of all that was ever seen; who started the first one must wait for it."""
        self.look()
        for one in self._seen:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs([one for one in self._seen if one != self._root], timeout=STOP_SECONDS)


def _busy() -> float:
    """Return the seconds that the machine's cores have been busy, or were taken from it."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _last_line(log: tempfile._TemporaryFileWrapper[bytes]) -> str:
    """Return the last line that says anything: of a traceback, the error."""
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"
