"""Runs the controllers of `controllers` on a real cluster: objects become Deployments, and callers are shared out.

It stands in for Seldon Core and KServe where they are not installed. It knows nothing of the compilers: it reads the
objects that the API server keeps, makes the pods that they describe, writes their status, and sends each caller to a
pod by the traffic that they say, as an ingress would.
"""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

from tests.cluster.controllers import KServeController, SeldonController, Workload

PERIOD_SECONDS = 0.5
WORKLOAD = "test-workload"


class ControllerLoop:
    """Reconciles one kind of object in one namespace until `stop`."""

    def __init__(self, controller: SeldonController | KServeController, namespace: str) -> None:
        from kubernetes import client

        self._apps, self._core, self._custom = client.AppsV1Api(), client.CoreV1Api(), client.CustomObjectsApi()
        self._controller, self._namespace = controller, namespace
        self._where = (controller.group, controller.version, namespace, controller.plural)
        self.shares: dict[str, list[tuple[str, int]]] = {}
        self.errors: list[str] = []
        self._ended, self._rounds = threading.Event(), 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def settle(self, seconds: float = 30) -> None:
        """Wait until what the API server keeps now has been seen: a round that began after this call is over."""
        wanted, deadline = self._rounds + 2, time.monotonic() + seconds
        while self._rounds < wanted:
            assert time.monotonic() < deadline, f"the controller stands still: {self.errors[-1:]}"
            time.sleep(0.05)

    def send(self, name: str, path: str, body: Any) -> tuple[str, Any]:
        """Send a caller's request to the object ``name`` and return the deployment that was chosen, and the answer."""
        workloads, weights = zip(*self.shares[name], strict=True)
        chosen = random.choices(workloads, weights)[0]
        pods = self._core.list_namespaced_pod(self._namespace, label_selector=f"{WORKLOAD}={chosen}").items
        ready = [pod.metadata.name for pod in pods if not pod.metadata.deletion_timestamp and _is_ready(pod)]
        if not ready:
            return chosen, None
        api = self._core.api_client
        response = api.rest_client.pool_manager.request(
            "POST",
            f"{api.configuration.host}/api/v1/namespaces/{self._namespace}/pods/{random.choice(ready)}:8500/proxy{path}",
            body=json.dumps(body), headers={"Content-Type": "application/json"}, timeout=30,
        )  # fmt: skip
        return chosen, json.loads(response.data) if response.status == 200 else None

    def _run(self) -> None:
        from kubernetes.client.exceptions import ApiException

        while not self._ended.wait(PERIOD_SECONDS):
            try:
                self._reconcile()
                self._rounds += 1
            except ApiException as error:
                if error.status not in (404, 409):  # an object that went, or changed, meanwhile
                    self.errors.append(str(error)[:500])

    def _reconcile(self) -> None:
        deployments = {one.metadata.name: one for one in self._apps.list_namespaced_deployment(self._namespace).items}
        wanted: set[str] = set()
        for document in self._custom.list_namespaced_custom_object(*self._where)["items"]:
            name = document["metadata"]["name"]
            ready = {one for one, made in deployments.items() if _available(made)}
            workloads = self._controller.workloads(document, ready.__contains__)
            for one in workloads:
                self._make(one, deployments.get(one.name))
            wanted |= {one.name for one in workloads}
            self.shares[name] = [(one.name, one.weight) for one in workloads]
            status = self._controller.status(document, workloads, ready.__contains__)
            if document.get("status") != status:
                self._custom.patch_namespaced_custom_object_status(*self._where, name, {"status": status})
        for name in set(deployments) - wanted:
            self._apps.delete_namespaced_deployment(name, self._namespace)

    def _make(self, workload: Workload, there: Any) -> None:
        template = json.loads(json.dumps(workload.template))
        template["metadata"]["labels"][WORKLOAD] = workload.name
        text = json.dumps(template, sort_keys=True)
        if there is not None and there.metadata.annotations.get(WORKLOAD) == text:
            return
        body = {
            "metadata": {"name": workload.name, "annotations": {WORKLOAD: text}},
            "spec": {
                "replicas": workload.replicas,
                "selector": {"matchLabels": {WORKLOAD: workload.name}},
                "template": template,
            },
        }
        if there is None:
            self._apps.create_namespaced_deployment(self._namespace, body)
        else:
            self._apps.replace_namespaced_deployment(workload.name, self._namespace, body)


def _available(deployment: Any) -> bool:
    status = deployment.status
    return (status.observed_generation or 0) >= deployment.metadata.generation and bool(status.ready_replicas)


def _is_ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())
