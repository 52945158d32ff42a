"""Why a pod does not start: what will not mend itself is told at once, what may is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from include.workflow.pods.ending import BASE

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable")
_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
_MISSING = ("not found", "couldn't find key", "references non-existent", "doesn't exist", "does not exist")
_PATIENCE = timedelta(seconds=60)
"""How long a container's trouble is given to mend itself where its message does not say that something is missing."""


def startup_trouble(
    pod: Any,
    events: Sequence[Any],
    nodes: Sequence[Any] | None,
    now: datetime,
    pending: timedelta,
    start: timedelta,
) -> str | None:
    """Return why a pending pod will not start, and what to do; None while there is hope.

    Args:
        pod: the pod as the cluster sees it.
        events: its events.
        nodes: the cluster's nodes; None where they may not be listed.
        now: the time, with its zone.
        pending: how long a pod may wait for a node.
        start: how long it may take to start once it has one.
    """
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return _unscheduled(pod, scheduled, events, nodes, now - pod.metadata.creation_timestamp > pending, pending)
    if scheduled is None:
        late = now - pod.metadata.creation_timestamp > pending
        return f"no scheduler looked at the pod for {pending}; does the cluster's scheduler run?" if late else None
    waited = now - (scheduled.last_transition_time or pod.metadata.creation_timestamp)
    return _container(pod, waited) or _volume(events) or _late(pod, waited, start, events)


def _unscheduled(
    pod: Any, condition: Any, events: Sequence[Any], nodes: Sequence[Any] | None, late: bool, pending: timedelta
) -> str | None:
    said = (condition.message or condition.reason or "").strip()
    if "persistentvolumeclaim" in said and "not found" in said:
        return f"{said}; create it in namespace '{pod.metadata.namespace}', or correct the step's volumes"
    grows = any(event.reason in ("TriggeredScaleUp", "Nominated") for event in events)
    wish = asked_for(pod)
    shown = ", ".join(f"{name} {_shown(name, amount)}" for name, amount in wish.items())
    if nodes and not grows and not any(could_take(node, pod, wish) for node in nodes):
        return (
            f"no node of this cluster can take the pod: {said} It asks for {shown}{_selector(pod)}; the largest of "
            f"{len(nodes)} nodes offers {_largest(nodes, wish)}. Lower the step's resources, or add a node"
        )
    if late:
        return f"no node had room for the pod within {pending}: {said} It asks for {shown}{_selector(pod)}"
    return None


def asked_for(pod: Any) -> dict[str, Decimal]:
    """Return what the pod's containers ask of a node: resource → amount, in cores, bytes or pieces."""
    from kubernetes.utils.quantity import parse_quantity

    total: dict[str, Decimal] = {}
    for container in pod.spec.containers:
        resources = container.resources
        wishes = {**((resources and resources.limits) or {}), **((resources and resources.requests) or {})}
        for name, quantity in wishes.items():
            total[name] = total.get(name, Decimal(0)) + Decimal(parse_quantity(quantity))
    return dict(sorted(total.items()))


def could_take(node: Any, pod: Any, wish: Mapping[str, Decimal]) -> bool:
    """Tell whether an idle ``node`` could take the pod; whether it is up just now does not matter."""
    labels = node.metadata.labels or {}
    if any(labels.get(key) != value for key, value in (pod.spec.node_selector or {}).items()):
        return False
    taints = [
        taint
        for taint in node.spec.taints or []
        if taint.effect in ("NoSchedule", "NoExecute") and not taint.key.startswith("node.kubernetes.io/")
    ]
    if any(not any(_bears(one, taint) for one in pod.spec.tolerations or []) for taint in taints):
        return False
    return all(_offer(node, name) >= amount for name, amount in wish.items())


def _bears(toleration: Any, taint: Any) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return (toleration.operator or "Equal") == "Exists" or (toleration.value or "") == (taint.value or "")


def _offer(node: Any, name: str) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity

    return Decimal(parse_quantity((node.status.allocatable or {}).get(name, "0")))


def _largest(nodes: Sequence[Any], wish: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{name} {_shown(name, max(_offer(node, name) for node in nodes))}" for name in wish) or "nothing"


def _shown(name: str, amount: Decimal) -> str:
    return f"{amount / 2**20:.0f}Mi" if name in ("memory", "ephemeral-storage") else f"{amount.normalize():f}"


def _selector(pod: Any) -> str:
    wanted = pod.spec.node_selector
    return f" on a node with {', '.join(f'{key}={value}' for key, value in wanted.items())}" if wanted else ""


def _container(pod: Any, waited: timedelta) -> str | None:
    from airflow.providers.cncf.kubernetes.utils.pod_manager import detect_pod_terminate_early_issues

    status = next((one for one in pod.status.container_statuses or [] if one.name == BASE), None)
    waiting = status.state.waiting if status is not None and status.state is not None else None
    if waiting is None:
        return None
    said = f"{waiting.reason}: {waiting.message}" if waiting.message else str(waiting.reason)
    if waiting.reason in _IMAGE:
        if detect_pod_terminate_early_issues(pod) is None:
            return None
        image = next(one.image for one in pod.spec.containers if one.name == BASE)
        return (
            f"image '{image}' cannot be pulled ({said}). Check its name, that the registry has it, and the step's "
            "pull_secrets (kubernetes.image, resources)"
        )
    if waiting.reason in _CONTAINER and (_missing(waiting.message) or waited > _PATIENCE):
        return (
            f"the container cannot be made ({said}). Create what is missing in namespace '{pod.metadata.namespace}', "
            "or correct kubernetes.secret, kubernetes.config_map or the step's resources"
        )
    return None


def _volume(events: Sequence[Any]) -> str | None:
    for event in events:
        if event.reason == "FailedMount" and _missing(event.message):
            return f"a volume cannot be mounted: {event.message}. Create what is missing, or correct the step's volumes"
    return None


def _late(pod: Any, waited: timedelta, start: timedelta, events: Sequence[Any]) -> str | None:
    if waited <= start:
        return None
    warnings = [f"{event.reason}: {event.message}" for event in events if event.type == "Warning"]
    shown = "; ".join(warnings[-3:]) or "no event says why"
    return f"the pod did not start within {start} on node {pod.spec.node_name}: {shown}"


def _missing(message: str | None) -> bool:
    return any(word in (message or "") for word in _MISSING)


def _condition(pod: Any, kind: str) -> Any | None:
    return next((one for one in pod.status.conditions or [] if one.type == kind), None)
