"""How a pod ended, in words, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

BASE = "base"
"""Name of the container that the step runs in."""
_DISRUPTED = ("Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated", "NodeAffinity")
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Ending:
    """How a pod ended.

    Attributes:
        kind: ``disrupted`` ends through no fault of the step: eviction, a lost node, a deletion.
        text: the same as a phrase for a person.
    """

    kind: Literal["succeeded", "failed", "out_of_memory", "deadline", "disrupted"]
    text: str


def ending_of(pod: Any | None) -> Ending:
    """Return how ``pod`` ended; None stands for a pod that is no longer there."""
    if pod is None:
        return Ending("disrupted", "the pod is gone: deleted, evicted, or lost with its node")
    status, name = pod.status, pod.metadata.name
    ended = _terminated(pod)
    if ended is not None and ended.reason == "OOMKilled":
        return Ending("out_of_memory", f"pod {name} was killed because it needed more than {_limit_text(pod)}")
    if status.reason == "DeadlineExceeded":
        return Ending("deadline", f"pod {name} was ended at its deadline of {pod.spec.active_deadline_seconds} s")
    if status.reason in _DISRUPTED:
        return Ending("disrupted", f"pod {name} was ended by the cluster: {status.reason}: {status.message or ''}")
    if ended is None:
        return Ending("disrupted", f"pod {name} ended in phase {status.phase} before its step did")
    if ended.exit_code == 0:
        return Ending("succeeded", f"pod {name} ended with exit code 0")
    if pod.metadata.deletion_timestamp is not None:
        return Ending("disrupted", f"pod {name} was deleted while its step ran")
    return Ending("failed", f"pod {name} ended with exit code {ended.exit_code}, {ended.reason or 'no reason given'}")


def memory_limit(pod: Any) -> str | None:
    """Return the memory limit of the step's container, or None when it has none."""
    container = next(one for one in pod.spec.containers if one.name == BASE)
    limits = (container.resources.limits if container.resources else None) or {}
    limit: str | None = limits.get("memory")
    return limit


def more_memory(limit: str, bound: str) -> str | None:
    """Return twice ``limit``, at most ``bound``; None when ``limit`` has reached it. Kubernetes quantities."""
    now, most = _bytes(limit), _bytes(bound)
    return None if now >= most else _mebibytes(min(2 * now, most))


def scaled(quantity: str, old: str, new: str) -> str:
    """Return ``quantity`` multiplied by ``new`` / ``old``, never above ``new``: a request that grows with its limit."""
    return _mebibytes(min(_bytes(quantity) * _bytes(new) / _bytes(old), _bytes(new)))


def _bytes(quantity: str) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity

    return Decimal(parse_quantity(quantity))


def _mebibytes(count: Decimal) -> str:
    return f"{int(count / _MEBIBYTE)}Mi"


def _limit_text(pod: Any) -> str:
    limit = memory_limit(pod)
    return f"its {limit} of memory" if limit else "the memory that its node had left (it has no limit)"


def _terminated(pod: Any) -> Any | None:
    statuses = pod.status.container_statuses or []
    base = next((one for one in statuses if one.name == BASE), None)
    return base.state.terminated if base is not None and base.state is not None else None
