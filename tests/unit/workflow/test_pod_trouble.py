"""What a pod that cannot start, was refused or was killed says to a person, and what is done about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client as k8s  # noqa: TID253 - this room is for pods alone

from include.workflow.pods.ending import ending_of, more_memory, scaled
from include.workflow.pods.refusal import refusal
from include.workflow.pods.startup import startup_trouble

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PENDING, START = timedelta(minutes=10), timedelta(minutes=5)


def pod(ago: float = 30, waiting: str | None = None, message: str = "", unscheduled: str | None = None, **spec: Any):
    """Return a pending pod as the API server describes it, ``ago`` seconds old."""
    since = NOW - timedelta(seconds=ago)
    condition = k8s.V1PodCondition(
        type="PodScheduled",
        status="False" if unscheduled else "True",
        message=unscheduled,
        reason="Unschedulable",
        last_transition_time=since,
    )
    state = k8s.V1ContainerState(waiting=k8s.V1ContainerStateWaiting(reason=waiting, message=message))
    status = k8s.V1ContainerStatus(
        name="base", image="shop/ml:7", image_id="", ready=False, restart_count=0, state=state if waiting else None
    )
    resources = spec.pop("resources", k8s.V1ResourceRequirements(requests={"cpu": "64", "memory": "1Gi"}))
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="shop-search-1", namespace="ml", creation_timestamp=since),
        spec=k8s.V1PodSpec(
            containers=[k8s.V1Container(name="base", image="shop/ml:7", resources=resources)], node_name="n1", **spec
        ),
        status=k8s.V1PodStatus(phase="Pending", conditions=[condition], container_statuses=[status]),
    )


def node(cpu: str = "2", memory: str = "8Gi", labels: dict[str, str] | None = None, taint: str | None = None):
    taints = [k8s.V1Taint(key=taint, effect="NoSchedule", value="yes")] if taint else None
    return k8s.V1Node(
        metadata=k8s.V1ObjectMeta(name="n", labels=labels),
        spec=k8s.V1NodeSpec(taints=taints),
        status=k8s.V1NodeStatus(allocatable={"cpu": cpu, "memory": memory}),
    )


def trouble(of: k8s.V1Pod, events: list[Any] | None = None, nodes: list[k8s.V1Node] | None = None) -> str | None:
    return startup_trouble(of, events or [], nodes, NOW, PENDING, START)


def event(reason: str, message: str = "", kind: str = "Warning") -> SimpleNamespace:
    return SimpleNamespace(reason=reason, message=message, type=kind)


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("ErrImagePull", "manifest unknown", "image 'shop/ml:7' cannot be pulled.*manifest unknown.*pull_secrets"),
        ("ImagePullBackOff", "Back-off pulling", "image 'shop/ml:7' cannot be pulled"),
        ("InvalidImageName", "couldn't parse", "image 'shop/ml:7' cannot be pulled"),
        ("CreateContainerConfigError", 'secret "factory-secrets" not found', "namespace 'ml'.*kubernetes.secret"),
        ("CreateContainerConfigError", "couldn't find key A in ConfigMap ml/x", "couldn't find key A"),
    ],
)
def test_what_is_missing_is_told_at_once(reason, message, told):
    import re

    assert re.search(told, trouble(pod(waiting=reason, message=message)) or "", re.DOTALL)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", "toomanyrequests: Too Many Requests"),
        ("CreateContainerConfigError", "failed to sync secret cache: timed out"),
        ("ContainerCreating", ""),
        (None, ""),
    ],
)
def test_what_may_mend_itself_is_waited_for(reason, message):
    assert trouble(pod(ago=20, waiting=reason, message=message)) is None


def test_a_pod_that_takes_too_long_is_told_with_its_events():
    told = trouble(pod(ago=400, waiting="ContainerCreating"), [event("FailedMount", "timed out waiting")])
    assert told == "the pod did not start within 0:05:00 on node n1: FailedMount: timed out waiting"


def test_a_volume_that_is_not_there_is_told():
    assert "volume" in (trouble(pod(), [event("FailedMount", 'secret "keys" not found')]) or "")
    claim = pod(unscheduled='persistentvolumeclaim "lake" not found')
    assert "persistentvolumeclaim" in (trouble(claim, nodes=[node(cpu="99")]) or "")


def test_a_pod_that_no_node_could_ever_take_is_told_with_the_figures():
    told = trouble(pod(unscheduled="0/2 nodes are available: 2 Insufficient cpu."), nodes=[node(), node("4")]) or ""
    assert "It asks for cpu 64, memory 1024Mi" in told
    assert "largest of 2 nodes offers cpu 4, memory 8192Mi" in told


@pytest.mark.parametrize(
    ("nodes", "spec", "hope"),
    [
        ([node("64")], {}, True),
        ([node("64", taint="gpu")], {}, False),
        ([node("64", taint="gpu")], {"tolerations": [k8s.V1Toleration(key="gpu", operator="Exists")]}, True),
        ([node("64", taint="gpu")], {"tolerations": [k8s.V1Toleration(key="gpu", value="no")]}, False),
        ([node("64", taint="node.kubernetes.io/unreachable")], {}, True),
        ([node("64")], {"node_selector": {"pool": "gpu"}}, False),
        ([node("64", labels={"pool": "gpu"})], {"node_selector": {"pool": "gpu"}}, True),
        ([node("64", memory="512Mi")], {}, False),
        (None, {}, True),
    ],
)
def test_a_busy_node_is_waited_for_and_a_wrong_one_is_not(nodes, spec, hope):
    found = trouble(pod(unscheduled="0/1 nodes are available", **spec), nodes=nodes)
    assert (found is None) == hope, found


def test_an_autoscaler_at_work_is_waited_for_but_not_for_ever():
    grows = [event("TriggeredScaleUp", kind="Normal")]
    assert trouble(pod(unscheduled="0/1 nodes"), grows, [node()]) is None
    assert "no node had room" in (trouble(pod(ago=700, unscheduled="0/1 nodes"), grows, [node()]) or "")


def answer(message: str) -> str:
    return json.dumps({"kind": "Status", "message": message})


QUOTA = 'pods "a" is forbidden: exceeded quota: small, requested: memory={}, used: memory=3Gi, limited: memory=4Gi'


@pytest.mark.parametrize(
    ("status", "message", "kind", "told"),
    [
        (403, QUOTA.format("2Gi"), "wait", "in use are memory=3Gi, the bound is memory=4Gi"),
        (403, QUOTA.format("5Gi"), "final", "the pod alone is above it"),
        (403, "failed quota: small: must specify limits.cpu", "final", "must specify limits.cpu"),
        (403, 'error looking up service account ml/step: serviceaccount "step" not found', "final", "'step'; create"),
        (403, 'pods is forbidden: User "ada" cannot create resource "pods"', "final", "'ada' may not handle pods in"),
        (403, "denied by pod security", "final", "policy of namespace 'ml'"),
        (404, 'namespaces "ml" not found', "final", "no namespace 'ml'"),
        (401, "Unauthorized", "final", "kubernetes.config_file"),
        (422, "spec.containers[0].image: Required value", "final", "Required value"),
        (503, "etcd leader changed", "away", "cannot answer now"),
        (429, "slow down", "away", "cannot answer now"),
    ],
)
def test_a_refused_pod_says_why_and_whether_to_wait(status, message, kind, told):
    found = refusal(status, answer(message), "ml")
    assert found.kind == kind
    assert told in found.text


def ended(code: int = 1, reason: str | None = None, phase: str = "Failed", status: str | None = None) -> k8s.V1Pod:
    made = pod(resources=k8s.V1ResourceRequirements(limits={"memory": "256Mi"}))
    terminated = k8s.V1ContainerStateTerminated(exit_code=code, reason=reason)
    made.status.container_statuses[0].state = (
        k8s.V1ContainerState(terminated=terminated) if phase != "Pending" else None
    )
    made.status.phase, made.status.reason = phase, status
    return made


@pytest.mark.parametrize(
    ("of", "kind", "told"),
    [
        (ended(137, "OOMKilled"), "out_of_memory", "more than its 256Mi of memory"),
        (ended(0, "Completed", "Succeeded"), "succeeded", "exit code 0"),
        (ended(1, "Error"), "failed", "exit code 1, Error"),
        (ended(137, "Error", status="Evicted"), "disrupted", "Evicted"),
        (ended(137, "Error", status="DeadlineExceeded"), "deadline", "deadline"),
        (None, "disrupted", "gone"),
    ],
)
def test_the_end_of_a_pod_is_told(of, kind, told):
    found = ending_of(of)
    assert (found.kind, told in found.text) == (kind, True), found


def test_memory_grows_twofold_up_to_its_bound():
    assert more_memory("256Mi", "1Gi") == "512Mi"
    assert more_memory("768Mi", "1Gi") == "1024Mi"
    assert more_memory("1Gi", "1024Mi") is None
    assert scaled("128Mi", "256Mi", "512Mi") == "256Mi"
    assert scaled("4Gi", "256Mi", "512Mi") == "512Mi"
