"""The pod runtime, judged by the pod that would be sent to Kubernetes."""

from __future__ import annotations

import json
import re

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from jinja2 import Environment

from include.specs import SpecError, load_platform, load_spec
from include.workflow.build import dags
from include.workflow.command import MACROS, StepCall
from include.workflow.pods.attempts import Attempt
from tests.unit.workflow.fakes import RUN, RUN_ID

RESOURCES = """
resources:
  default: {requests: {cpu: 500m, memory: 1Gi}, limits: {memory: 2Gi}}
  search: {requests: {cpu: "4"}, gpu: 1, node_selector: {pool: gpu}, image: shop/ml:7}
"""


@pytest.fixture
def pods(write_spec, monkeypatch):
    """Return the DAG of a spec with resources, under the Kubernetes runtime."""
    monkeypatch.setenv("FACTORY_RUNTIME", "kubernetes")
    monkeypatch.setenv("FACTORY_KUBERNETES__NAMESPACE", "ml")
    load_platform.cache_clear()
    write_spec("shop", more=RESOURCES)
    return dags("automl_pipeline")["shop.automl_pipeline"]


def rendered(task):
    """Render the task's templates as Airflow does, and return the pod that it would ask for."""
    environment = Environment(autoescape=False)
    environment.globals |= MACROS
    task.render_template_fields({"run_id": RUN_ID, "params": {"budget": 5}}, environment)
    return task.build_pod_request_obj(dry_run=True)


def test_the_pod_runs_the_same_command_line_as_the_process(pods):
    pod = rendered(pods.get_task("search"))
    (container,) = pod.spec.containers
    assert container.command == ["python"]
    assert container.args == [
        *["-m", "include.steps", "search", "--model", "shop", "--pipeline", "automl_pipeline", "--run", RUN],
        *["--task", "search", "--params", '{"budget": 5}'],
    ]
    assert pod.spec.restart_policy == "Never"


def test_the_pod_asks_for_what_the_spec_says(pods):
    search, gate = rendered(pods.get_task("search")), rendered(pods.get_task("gate"))
    assert search.spec.containers[0].resources.to_dict() == {
        "claims": None,
        "requests": {"cpu": "4", "memory": "512Mi"},
        "limits": {"nvidia.com/gpu": "1", "memory": "4Gi"},
    }
    assert search.spec.node_selector == {"pool": "gpu"}
    assert search.spec.containers[0].image == "shop/ml:7"
    assert gate.spec.containers[0].resources.limits == {"memory": "2Gi"}
    assert gate.spec.containers[0].image == "model-factory/ml:latest"


def test_a_search_worker_asks_for_what_the_search_does(pods, write_spec):
    write_spec("shop", more=RESOURCES + "search: {workers: 2}")
    task = dags("automl_pipeline")["shop.automl_pipeline"].get_task("search_worker").unmap({"place": 2})
    pod = rendered(task)
    (container,) = pod.spec.containers
    assert container.args[2] == "search_worker"
    assert container.args[container.args.index("--task") + 1] == "search_worker_2"
    assert container.image == "shop/ml:7"


def test_the_pod_says_whose_it_is_and_holds_nothing_secret(pods, monkeypatch):
    monkeypatch.setenv("FACTORY_SERVING_KEY", "do-not-tell")
    pod = rendered(pods.get_task("search"))
    assert pod.metadata.namespace == "ml"
    assert pod.metadata.name == "shop-search"
    assert {key: value for key, value in pod.metadata.labels.items() if key.startswith("model-factory/")} == {
        "model-factory/model": "shop",
        "model-factory/pipeline": "automl_pipeline",
        "model-factory/run": RUN,
        "model-factory/step": "search",
    }
    assert all(len(value) <= 63 for value in pod.metadata.labels.values())
    (container,) = pod.spec.containers
    sources = [(s.config_map_ref or s.secret_ref).name for s in container.env_from]
    assert sources == ["factory-config", "factory-secrets"]
    assert {one.name: one.value for one in container.env} == {
        "HOME": "/var/lib/factory",
        "FACTORY_HOME": "/var/lib/factory",
        "TMPDIR": "/tmp",
    }
    assert "do-not-tell" not in str(pod)
    assert pod.spec.service_account_name == "factory-step"
    assert pod.spec.security_context.run_as_non_root is True
    assert pod.spec.security_context.seccomp_profile.type == "RuntimeDefault"
    assert container.security_context.allow_privilege_escalation is False
    assert container.security_context.read_only_root_filesystem is True
    assert {mount.mount_path for mount in container.volume_mounts} == {"/var/lib/factory", "/tmp"}


def test_both_runtimes_build_the_same_graph(pods, monkeypatch):
    monkeypatch.setenv("FACTORY_RUNTIME", "process")
    load_platform.cache_clear()
    processes = dags("automl_pipeline")["shop.automl_pipeline"]
    assert {task.task_id: task.downstream_task_ids for task in pods.tasks} == {
        task.task_id: task.downstream_task_ids for task in processes.tasks
    }
    assert pods.get_task("search").doc_md == processes.get_task("search").doc_md


WISHES = """
resources:
  search:
    requests: {cpu: "1"}
    scratch: 1Gi
    deadline: 2h
    priority_class: urgent
    service_account: gpu-step
    pull_secrets: [registry]
    secrets: [warehouse]
    config_maps: [tuning]
    env: {OMP_NUM_THREADS: "2"}
    annotations: {cost-center: growth}
    tolerations: [{key: gpu, operator: Equal, value: "yes", effect: NoSchedule}, {}]
    volumes:
      - {name: lake, path: /lake, claim: lake, read_only: true}
      - {name: keys, path: /keys, secret: keys}
      - {name: tables, path: /tables, config_map: tables}
      - {name: spill, path: /spill, size: 5Gi}
"""


def test_every_wish_of_the_spec_reaches_the_pod(pods, write_spec):
    from kubernetes import client

    write_spec("shop", more=WISHES)
    pod = rendered(dags("automl_pipeline")["shop.automl_pipeline"].get_task("search"))
    spec = client.ApiClient().sanitize_for_serialization(pod)["spec"]
    (container,) = spec["containers"]
    volumes = {volume.pop("name"): volume for volume in spec["volumes"]}
    assert volumes == {
        "home": {"emptyDir": {"sizeLimit": "1Gi"}},
        "tmp": {"emptyDir": {"sizeLimit": "1Gi"}},
        "lake": {"persistentVolumeClaim": {"claimName": "lake", "readOnly": True}},
        "keys": {"secret": {"secretName": "keys"}},
        "tables": {"configMap": {"name": "tables"}},
        "spill": {"emptyDir": {"sizeLimit": "5Gi"}},
    }
    assert {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]} == {
        "/var/lib/factory": False,
        "/tmp": False,
        "/lake": True,
        "/keys": False,
        "/tables": False,
        "/spill": False,
    }
    assert spec["tolerations"] == [
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"operator": "Exists"},
    ]
    assert (spec["activeDeadlineSeconds"], spec["priorityClassName"]) == (7200, "urgent")
    assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("gpu-step", [{"name": "registry"}])
    assert [next(iter(source.values()))["name"] for source in container["envFrom"]] == [
        *("factory-config", "tuning", "factory-secrets", "warehouse"),
    ]
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in container["env"]
    assert pod.metadata.annotations == {"cost-center": "growth"}


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ("volumes: [{name: etc, path: /etc, hostPath: /etc}]", "hostPath"),
        ("volumes: [{name: lake, path: /lake}]", "exactly one"),
        ("volumes: [{name: lake, path: /lake, claim: a, secret: b}]", "exactly one"),
        ("env: {DB_PASSWORD: x}", "looks secret"),
        ("env: {URL: 'postgresql://me:pw@db/x'}", "looks secret"),
        ("deadline: 0s", "at least 1s"),
        ("memory_bound: lots", "memory_bound"),
    ],
)
def test_what_a_pod_must_not_have_is_refused(pods, write_spec, wish, told):
    write_spec("shop", more=f"resources: {{search: {{{wish}}}}}")
    with pytest.raises(SpecError, match=told):
        load_spec("shop")


def test_a_long_run_id_still_makes_a_label(pods):
    task = pods.get_task("gate")
    environment = Environment(autoescape=False)
    environment.globals |= MACROS
    run_id = "asset_triggered__2026-11-20T10:00:00.123456+00:00_AbCdEfGh" + "x" * 40
    task.render_template_fields({"run_id": run_id, "params": {}}, environment)
    labels = task.build_pod_request_obj(dry_run=True).metadata.labels
    assert all(len(value) <= 63 for value in labels.values())


def test_a_dag_with_pods_can_be_stored(pods):
    stored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(pods))))
    assert stored.task_ids == pods.task_ids


def test_names_are_fit_for_kubernetes(platform, write_spec):
    from include.workflow.pods.build import pod_operator

    write_spec("a_rather_long_name_of_a_model_that_somebody_thought_of_one_day")
    spec = load_spec("a_rather_long_name_of_a_model_that_somebody_thought_of_one_day")
    call = StepCall(spec.name, "model_deployment", "shift", "shift_100")
    task = pod_operator(spec, platform.kubernetes, call, task_id="shift_100")
    pod = rendered(task)
    name = Attempt().next(pod.metadata.name, None).pod
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name), name


def test_only_steps_that_release_to_a_cluster_may_ask_its_api(pods, monkeypatch):
    def accounts():
        load_platform.cache_clear()
        dag = dags("model_deployment")["shop.model_deployment"]
        return {
            rendered(dag.get_task(name)).spec.service_account_name for name in ("plan_release", "shift_10", "promote")
        }

    assert accounts() == {"factory-step"}
    monkeypatch.setenv("FACTORY_SERVING_TARGET", "kserve")
    assert accounts() == {"factory-release"}
    assert rendered(dags("automl_pipeline")["shop.automl_pipeline"].get_task("search")).spec.service_account_name == (
        "factory-step"
    )
