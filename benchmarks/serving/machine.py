"""What a result depends on beside the systems: processor, memory, versions. No names of hosts or folders."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.serving.systems import System
from include.specs import ROOT

_VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def describe(systems: Sequence[System]) -> dict[str, str]:
    """Return the machine, and each system's versions."""
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB",
        "load before the run": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}",
        "load generator": f"{_output('wrk', '-v').partition(' [')[0]}, one thread, same machine",
    }
    for system in systems:
        title = system.name.partition("-")[0]
        versions = json.loads(_output(str(system.python), "-c", _VERSIONS, *system.packages))
        facts[f"versions of {title}"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    return facts


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
