"""A cluster in memory, as far as the pod operator talks to one, and a task's store that outlives its workers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from kubernetes import client as k8s  # noqa: TID253 - this room is for pods alone


class Store(dict[str, Any]):
    """Airflow's task state store: JSON only."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


class Cluster:
    """Pods by name; ``refuse`` answers the next creations with an error."""

    def __init__(self) -> None:
        self.pods: dict[str, k8s.V1Pod] = {}
        self.created: list[k8s.V1Pod] = []
        self.refuse: list[k8s.ApiException | OSError] = []
        self.said = b""

    def create_namespaced_pod(self, namespace: str, body: k8s.V1Pod) -> k8s.V1Pod:
        if self.refuse:
            raise self.refuse.pop(0)
        if body.metadata.name in self.pods:
            raise error(409, "AlreadyExists")
        body.metadata.creation_timestamp = datetime.now(UTC)
        body.status = k8s.V1PodStatus(phase="Pending")
        self.pods[body.metadata.name] = body
        self.created.append(body)
        return body

    def read_namespaced_pod(self, name: str, namespace: str) -> k8s.V1Pod:
        if name not in self.pods:
            raise error(404, "NotFound")
        return self.pods[name]

    def delete_namespaced_pod(self, name: str, namespace: str, **_: Any) -> None:
        self.pods.pop(name)

    def read_namespaced_pod_log(self, name: str, namespace: str, **_: Any) -> Any:
        return type("Answer", (), {"data": self.said})()

    def end(self, code: int = 0, reason: str | None = None) -> None:
        """Let the newest pod end."""
        pod = self.created[-1]
        terminated = k8s.V1ContainerStateTerminated(exit_code=code, reason=reason)
        state = k8s.V1ContainerState(terminated=terminated)
        one = k8s.V1ContainerStatus(name="base", image="", image_id="", ready=False, restart_count=0, state=state)
        pod.status = k8s.V1PodStatus(phase="Failed" if code else "Succeeded", container_statuses=[one])


def error(status: int, reason: str, message: str = "") -> k8s.ApiException:
    made = k8s.ApiException(status=status, reason=reason)
    made.body = json.dumps({"reason": reason, "message": message or reason})
    return made
