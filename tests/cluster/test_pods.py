"""Pods that cannot start, are refused, killed or grow, on the real cluster: what the task says, and how soon."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="factory-airflow-"))

from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from include.specs import Platform, load_platform
from tests.cluster.conftest import IMAGE, Cluster, image_is_there
from tests.cluster.kubelet import Kubelet
from tests.cluster.tries import context_of, one_try

pytestmark = [pytest.mark.timeout(300)]

SPEC = """\
name: shop
owner: team@example.com
data: {source: {type: dataset, name: diabetes}}
problem: {type: regression, target: progression}
"""
Make = Callable[..., Callable[[], Any]]
SOON = 45
"""Seconds within which a pod that can never start must have failed."""


@pytest.fixture
def task(cluster: Cluster, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a maker of makers of the 'gate' task, which runs ``code`` instead of the step."""
    image_is_there(cluster)
    folder = tmp_path / "models"
    folder.mkdir()
    settings = {
        "namespace": cluster.namespace,
        "in_cluster": False,
        "config_file": cluster.kubeconfig,
        "image": IMAGE,
        "secret": None,
        "config_map": None,
    }
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(folder))
    monkeypatch.setenv("FACTORY_PLATFORM_FILE", str(tmp_path / "platform.yaml"))

    def make(code: str = "pass", resources: str = "", **more: str) -> Callable[[], Any]:
        told = {"runtime": "kubernetes", "kubernetes": {**settings, **more}}
        (tmp_path / "platform.yaml").write_text(json.dumps(told))  # YAML knows JSON
        load_platform.cache_clear()
        wish = f"resources: {{gate: {{{resources}}}}}" if resources else ""
        (folder / "shop.yaml").write_text(f"{SPEC}{wish}\n")

        def worker() -> Any:
            from include.workflow.build import dags

            found = dags("automl_pipeline")["shop.automl_pipeline"].get_task("gate")
            found.arguments = ["-c", code]
            found.labels = {**found.labels, "model-factory/run": "test"}
            return found

        return worker

    yield make
    for pod in cluster.api.list_namespaced_pod(cluster.namespace).items:
        cluster.api.delete_namespaced_pod(pod.metadata.name, cluster.namespace, grace_period_seconds=0)


def told(worker: Callable[[], Any], context: dict[str, Any] | None = None) -> str:
    """Return the message with which the task fails for good, soon enough."""
    began = time.monotonic()
    with pytest.raises(AirflowFailException) as caught:
        one_try(worker, context or context_of())
    assert time.monotonic() - began < SOON
    return str(caught.value)


def pods(cluster: Cluster) -> list[Any]:
    return cluster.api.list_namespaced_pod(cluster.namespace).items


@pytest.mark.cluster_core
def test_an_image_that_cannot_be_pulled_is_told_at_once(task: Make, cluster: Cluster) -> None:
    message = told(task(resources="image: 'registry.invalid/no/such:1'"))
    assert "image 'registry.invalid/no/such:1' cannot be pulled (Err" in message
    assert pods(cluster) == [], "a pod that never ran is not kept"


def test_a_wrong_image_name_is_told_at_once(task: Make) -> None:
    assert "InvalidImageName" in told(task(resources="image: 'Not An Image'"))


@pytest.mark.cluster_core
def test_a_missing_secret_is_told_at_once(task: Make) -> None:
    message = told(task(resources="secrets: [warehouse]"))
    assert 'secret "warehouse" not found' in message
    assert "Create what is missing" in message


def test_a_missing_claim_is_told_at_once(task: Make) -> None:
    message = told(task(resources="volumes: [{name: lake, path: /lake, claim: lake}]"))
    assert 'persistentvolumeclaim "lake" not found' in message


@pytest.mark.cluster_core
def test_a_pod_that_no_node_can_take_is_told_at_once(task: Make) -> None:
    message = told(task(resources='requests: {cpu: "512"}'))
    assert "Insufficient cpu" in message
    assert "It asks for cpu 512" in message
    assert "no node of this cluster can take the pod" in told(task(resources="node_selector: {pool: of-nowhere}"))


def test_a_missing_account_and_namespace_are_told_at_once(task: Make) -> None:
    assert "has no service account 'nobody'" in told(task(resources="service_account: nobody"))
    assert "the cluster has no namespace 'factory-no-such'" in told(task(namespace="factory-no-such"))


def test_a_quota_is_told_with_its_figures_and_waited_for_while_others_use_it(task: Make, cluster: Cluster) -> None:
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.memory": "1Gi"}}}
    cluster.api.create_namespaced_resource_quota(cluster.namespace, quota)
    try:
        message = told(task(resources="requests: {memory: 2Gi}"))
        assert "requests.memory=2Gi" in message
        assert "the pod alone is above it" in message
        sleeper = task("import time; time.sleep(4)", resources="requests: {memory: 700Mi}")
        with pytest.raises(TaskDeferred):
            sleeper().execute(context_of("first"))
        waiting = context_of("second")
        with pytest.raises(TaskDeferred) as deferred:
            sleeper().execute(waiting)
        assert deferred.value.method_name == "go_on"
        with pytest.raises(AirflowException, match="without a valid result"):
            one_try(sleeper, waiting)
    finally:
        cluster.api.delete_namespaced_resource_quota("small", cluster.namespace)


def test_an_airflow_without_rights_is_told_at_once(task: Make, cluster: Cluster, tmp_path: Path) -> None:
    api = cluster.api
    body = {"spec": {"expirationSeconds": 600}}
    token = api.create_namespaced_service_account_token("default", cluster.namespace, body).status.token
    import yaml

    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    weak = tmp_path / "weak.kubeconfig"
    weak.write_text(yaml.safe_dump(config))
    message = told(task(config_file=str(weak)))
    assert f"may not handle pods in namespace '{cluster.namespace}'" in message
    assert f"system:serviceaccount:{cluster.namespace}:default" in message


HUNGRY = "import sys; x = bytearray({} << 20); print('INFO had enough', flush=True)"


@pytest.mark.cluster_core
def test_a_pod_out_of_memory_is_given_more_until_it_has_enough(task: Make, cluster: Cluster) -> None:
    small = "requests: {memory: 32Mi}, limits: {memory: 64Mi}, memory_bound: 256Mi"
    worker, context = task(HUNGRY.format(150), resources=small), context_of()
    for more in ("128Mi", "256Mi"):
        with pytest.raises(AirflowException, match=f"the next try gets {more}"):
            one_try(worker, context)
    with pytest.raises(AirflowException, match=r"without a valid result .*exit code 0"):
        one_try(worker, context)
    limits = sorted(pod.spec.containers[0].resources.limits["memory"] for pod in pods(cluster))
    assert limits == ["128Mi", "256Mi", "64Mi"]


def test_a_pod_that_never_has_enough_says_what_was_tried(task: Make) -> None:
    small = "requests: {memory: 32Mi}, limits: {memory: 64Mi}, memory_bound: 100Mi"
    worker, context = task(HUNGRY.format(400), resources=small), context_of()
    with pytest.raises(AirflowException, match="the next try gets 100Mi"):
        one_try(worker, context)
    message = told(worker, context)
    assert "the bound of 100Mi is reached: attempt 1: 64Mi was too little; attempt 2: 100Mi was too little" in message


def test_a_deadline_ends_the_pod(task: Make) -> None:
    assert "at its deadline of 3 s" in told(task("import time; time.sleep(600)", resources="deadline: 3s"))


@pytest.mark.cluster_core
def test_a_deleted_pod_is_seen_and_the_next_try_starts_anew(task: Make, cluster: Cluster) -> None:
    worker, context = task("import time; time.sleep(600)"), context_of()
    with pytest.raises(TaskDeferred):
        worker().execute(context)
    with pytest.raises(TaskDeferred):
        worker().execute(context)
    (pod,) = pods(cluster)
    cluster.api.delete_namespaced_pod(pod.metadata.name, cluster.namespace, grace_period_seconds=1)
    with pytest.raises(AirflowException, match="starts the step anew"):
        one_try(worker, context)
    with pytest.raises(TaskDeferred):
        worker().execute(context)
    names = {one.metadata.name for one in pods(cluster)}
    assert len(names - {pod.metadata.name}) == 1


def test_a_kubelet_that_is_away_while_the_pod_ends_is_borne(task: Make, cluster: Cluster) -> None:
    kubelet = Kubelet()
    worker, context = task("import time; time.sleep(6); print('INFO went on')"), context_of()
    with pytest.raises(TaskDeferred):
        worker().execute(context)
    deadline = time.monotonic() + 60
    while pods(cluster)[0].status.phase != "Running":
        assert time.monotonic() < deadline, "the pod did not start"
        time.sleep(0.2)
    kubelet.kill()
    threading.Timer(10, kubelet.start).start()
    with pytest.raises(AirflowException, match=r"without a valid result .*exit code 0"):
        one_try(worker, context)
    assert len(pods(cluster)) <= 1


@pytest.mark.cluster_core
def test_the_pod_may_write_where_it_should_and_nowhere_else(task: Make, cluster: Cluster) -> None:
    code = (
        "import os, pathlib\n"
        "for path in (os.environ['HOME'], '/tmp'): pathlib.Path(path, 'x').write_text('x')\n"
        "for path in ('/x', '/usr/x', '/app/x'):\n"
        "    try: pathlib.Path(path).write_text('x')\n"
        "    except OSError: continue\n"
        "    raise SystemExit(f'{path} could be written')\n"
        "assert os.getuid() != 0\n"
    )
    with pytest.raises(AirflowException, match=r"without a valid result .*exit code 0"):
        one_try(task(code), context_of())


@pytest.mark.cluster_core
def test_make_check_asks_the_cluster(task: Make, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    from include.workflow.pods.check import main

    task(resources="service_account: nobody, secrets: [warehouse]", config_map="factory-config")
    assert main(["shop"]) == 0
    problems = json.loads(capsys.readouterr().out.splitlines()[-1])
    shown = "\n".join(f"{one['where']}: {one['message']}" for one in problems)
    assert "shop: pod of steps gate: namespace" in shown
    assert "no service account 'nobody'" in shown
    assert "has no Secret 'warehouse'" in shown
    assert "has no ConfigMap 'factory-config'" in shown
    assert pods(cluster) == []
