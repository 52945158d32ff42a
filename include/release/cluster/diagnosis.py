"""Why a version does not answer yet, from what the cluster says of its pods. Pure but for the pods' own words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FINAL_WAITS = {
    "ImagePullBackOff": "make the image available to the cluster, or correct cluster_target.image",
    "ErrImageNeverPull": "load the image on the node, or set cluster_target.image_pull_policy to IfNotPresent",
    "InvalidImageName": "correct cluster_target.image",
    "CreateContainerConfigError": "make the ConfigMap and Secret that kubernetes.config_map and kubernetes.secret name",
    "CreateContainerError": "look at the pod's events",
    "RunContainerError": "look at the pod's events",
}
"""Reasons of a waiting container that waiting does not mend, and what does."""
ABSENT = 3
"""Exit code of a server whose version is not in the registry."""
PASSING = {"CreateContainerConfigError": 20.0}
"""Seconds that such a reason may last: a node that has just heard of a ConfigMap may not have it yet."""
UNSCHEDULED_SECONDS = 60.0
"""How long a pod may wait for a node: an autoscaler may be adding one."""
REFUSED_SECONDS = 20.0
"""How long pods may be refused: a new service account has its token, and a quota its place, a moment later."""
CRASHES = 2
"""So many starts anew, and it is no accident."""
LOG_LINES = 5
Document = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not answer.

    Attributes:
        patience: seconds after which it is taken to stay; 0 where waiting does not help.
    """

    reason: str
    patience: float = math.inf


def is_ready(pod: Document) -> bool:
    """Tell whether the pod takes requests."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def trouble(pod: Document, log: Callable[[str, str, int], str], failures: Callable[[str], str]) -> Trouble:
    """Return why ``pod``, which is not ready, is not.

    Args:
        pod: as the API server gives it.
        log: returns the last lines of a container's log, by pod, container and number.
        failures: returns what a running server says of its own failures, by pod; empty without any.
    """
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for one in status.get("conditions") or ():
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return Trouble(
                f"no node takes pod {name}: {one.get('message', one.get('reason', ''))}", UNSCHEDULED_SECONDS
            )
    for container in status.get("containerStatuses") or ():
        if found := _container_trouble(name, container, log):
            return found
    if status.get("phase") == "Running" and (said := failures(name)):
        return Trouble(f"the model server in pod {name} says: {said}", 0)
    return Trouble(f"pod {name} is {status.get('phase', 'Pending')} and not ready")


def _container_trouble(pod: str, container: Document, log: Callable[[str, str, int], str]) -> Trouble | None:
    waiting = container.get("state", {}).get("waiting") or {}
    if (reason := waiting.get("reason", "")) in FINAL_WAITS:
        text = f"pod {pod}: {reason} for image {container['image']} ({waiting.get('message', 'no message')})"
        return Trouble(f"{text}; {FINAL_WAITS[reason]}", PASSING.get(reason, 0))
    if reason == "ErrImagePull":
        return Trouble(f"pod {pod}: the image {container['image']} is not there yet ({waiting.get('message')})")
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended:
        return None
    if ended.get("reason") == "OOMKilled":
        return Trouble(f"pod {pod} was killed for want of memory; raise cluster_target.limits.memory", 0)
    final = ended.get("exitCode") == ABSENT or container.get("restartCount", 0) >= CRASHES
    said = log(pod, container["name"], LOG_LINES) or ended.get("message") or "it logged nothing"
    return Trouble(
        f"pod {pod} ends with exit code {ended.get('exitCode')}; its last lines: {said[-1500:]}",
        0 if final else math.inf,
    )


def first_trouble(found: Sequence[Trouble]) -> Trouble | None:
    """Return the trouble that matters most: one that waiting does not mend before all others."""
    return min(found, key=lambda one: one.patience, default=None)
