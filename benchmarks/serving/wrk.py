"""The load generator: wrk, one thread, requests written beforehand."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.specs import FactoryError

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Load:
    """A shape of traffic: rows a request, and connections that each wait for an answer before they ask again."""

    rows: int
    connections: int

    @property
    def name(self) -> str:
        """A short name, such as ``1x16``."""
        return f"{self.rows}x{self.connections}"


@dataclass(frozen=True)
class Measured:
    """What came back under a load; latencies in milliseconds, failed: refused, broken or late answers."""

    per_second: float
    p50: float
    p95: float
    p99: float
    failed: int


def require_wrk() -> None:
    """Make sure that wrk is there.

    Raises:
        FactoryError: it is not; the message says how to install it.
    """
    if shutil.which("wrk") is None:
        raise FactoryError("wrk is not installed; install it (Debian, Ubuntu: apt-get install wrk) and run again")


def drive(url: str, bodies: Sequence[bytes], load: Load, seconds: float) -> Measured:
    """Send ``bodies`` in turn to ``url`` for ``seconds``, and return what came back."""
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(round(seconds), 1)}s"]
        command += [f"--timeout={TIMEOUT_SECONDS}s", "-s", str(SCRIPT), url, "--", file.name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seen = json.loads(output.strip().rsplit("\n", 1)[-1])
    answered = seen["requests"] - seen["failed"]
    return Measured(answered / seen["seconds"], seen["p50"], seen["p95"], seen["p99"], seen["failed"])
