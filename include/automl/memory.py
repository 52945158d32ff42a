"""How much memory a search may use: of the machine, or of the container that it runs in."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

SHARE = 0.8
"""Share of the free memory that trials may use together, where the spec does not say how much."""
_CGROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Bound and use of a container's memory, in versions 2 and 1 of Linux's control groups."""


def free_bytes(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes this process and its children may still use."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for bound, used in _CGROUPS:
        with suppress(OSError, ValueError):  # there is no such file, or no bound ("max")
            free = min(free, int((groups / bound).read_text()) - int((groups / used).read_text()))
    return max(free, 0)


def bound_bytes(wanted_gb: float | None) -> int:
    """Return how many bytes all trials together may use: ``wanted_gb`` GiB, or a share of what is free."""
    return int(wanted_gb * 2**30) if wanted_gb is not None else int(SHARE * free_bytes())


def used_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
