"""What every result depends on: processor, memory, versions, commit. No names of hosts or folders."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from include.specs import ROOT

_VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def machine() -> dict[str, str]:
    """Return processor, cores, memory and system."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / (1 << 30):.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}",
    }


def versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Return the version of each distribution of ``packages`` in the environment of the interpreter ``python``."""
    found: dict[str, str] = json.loads(output(str(python), "-c", _VERSIONS, *packages))
    return found


def commit(*paths: str) -> str:
    """Return the short name of the commit that is checked out, or of the last one that changed ``paths``."""
    return output("git", "-C", str(ROOT), "log", "-1", "--format=%h", "--", *paths)


def output(*command: str) -> str:
    """Return what a command writes, without the space around it; empty where it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
