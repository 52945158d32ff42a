"""What a result depends on beside the systems: processor, memory, versions. No names of hosts or folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.machine import commit, machine, output, versions
from benchmarks.serving.systems import System


def describe(systems: Sequence[System]) -> dict[str, str]:
    """Return the machine, and each system's versions."""
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        **machine(),
        "load before the run": f"{os.getloadavg()[0]:.1f}",
        "load generator": f"{output('wrk', '-v').partition(' [')[0]}, one thread, same machine",
    }
    for system in systems:
        title = system.name.partition("-")[0]
        found = versions(system.python, system.packages)
        facts[f"versions of {title}"] = ", ".join(f"{name} {version}" for name, version in found.items())
    return facts
