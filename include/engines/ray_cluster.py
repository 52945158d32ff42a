"""The Ray cluster that FACTORY_RAY_ADDRESS names, or one on this machine."""

from __future__ import annotations

import os
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from include.engines.errors import EngineError, needed
from include.specs import ROOT

LOCAL = "local"
_PATIENCE = 10.0
"""Seconds that a cluster may take to accept a connection."""
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")


def connect(address: str) -> Any:
    """Return the module ``ray``, connected; a process stays connected to the first cluster that it asks for.

    Args:
        address: ``host:6379`` from a node of the cluster, ``ray://host:10001`` from outside; a cluster of this
            process's own when empty.

    Raises:
        EngineError: Ray is not installed, the cluster does not answer, or runs other versions.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = needed("ray", "the engine 'ray'")
    if ray.is_initialized():
        return ray
    _answers(address)
    try:
        ray.init(
            address=address or LOCAL,
            runtime_env={"py_modules": [str(ROOT / "include")], "excludes": ["__pycache__"]},
            log_to_driver=False,
            logging_level="WARNING",
            **({} if address else {"include_dashboard": False}),
        )
    except (ConnectionError, TimeoutError, ValueError) as error:
        raise _away(address, error) from error
    except RuntimeError as error:
        raise _refused(address, error) from error
    return ray


def cores(ray: Any) -> int:
    """Return the cores of the largest living node: what one worker can have at most.

    Raises:
        EngineError: no node has a core.
    """
    found = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    if not found or max(found) < 1:
        raise EngineError("no node of the Ray cluster has a CPU to give; start workers with --num-cpus")
    return max(found)


def _answers(address: str) -> None:
    """Raise EngineError where nothing listens: Ray itself would go on trying for minutes."""
    if not address:
        return
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_PATIENCE).close()
    except (OSError, ValueError) as error:
        raise _away(address, error) from error


def _away(address: str, error: Exception) -> EngineError:
    return EngineError(
        f"Ray at '{address}' does not answer ({_first(error)}): start it, or correct FACTORY_RAY_ADDRESS to host:6379 "
        "or ray://host:10001"
    )


def _refused(address: str, error: RuntimeError) -> EngineError:
    versions = _VERSIONS.findall(str(error))
    if "ersion mismatch" in str(error) and len(versions) == 2:
        (theirs, their_python), (ours, our_python) = versions
        return EngineError(
            f"Ray at '{address}' runs Ray {theirs} on Python {their_python}, this process Ray {ours} on Python "
            f"{our_python}; install the same versions on both sides (requirements-engines.txt)"
        )
    return EngineError(f"Ray at '{address}' refused: {_first(error)}")


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
