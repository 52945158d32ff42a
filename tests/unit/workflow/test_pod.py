"""The pod runtime, judged by the pod that would be sent to Kubernetes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from jinja2 import Environment

from include.specs import load_platform, load_spec
from include.workflow.build import dags
from include.workflow.command import MACROS, StepCall
from tests.unit.workflow.fakes import RUN, RUN_ID, leave_result, task_context

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
        "requests": {"cpu": "4"},
        "limits": {"nvidia.com/gpu": "1"},
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
    assert pod.metadata.name.startswith("shop-search-")
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
    assert not container.env
    assert "do-not-tell" not in str(pod)
    assert pod.spec.service_account_name == "factory-step"
    assert pod.spec.security_context.run_as_non_root is True
    assert container.security_context.allow_privilege_escalation is False


def test_a_pod_outlives_airflows_restarts_and_not_the_run_that_is_killed(pods):
    task = pods.get_task("search")
    assert task.deferrable
    assert task.durable
    assert not task.do_xcom_push
    assert (task.on_finish_action.value, task.on_kill_action.value) == ("delete_succeeded_pod", "delete_pod")


def test_both_runtimes_build_the_same_graph(pods, monkeypatch):
    monkeypatch.setenv("FACTORY_RUNTIME", "process")
    load_platform.cache_clear()
    processes = dags("automl_pipeline")["shop.automl_pipeline"]
    assert {task.task_id: task.downstream_task_ids for task in pods.tasks} == {
        task.task_id: task.downstream_task_ids for task in processes.tasks
    }
    assert pods.get_task("search").doc_md == processes.get_task("search").doc_md


@pytest.fixture
def ended(pods, platform):
    """Return the 'gate' task, told that its pod was made a minute ago."""
    from kubernetes import client as k8s

    task = pods.get_task("gate")
    made = datetime.now(UTC) - timedelta(minutes=1)
    task.remote_pod = k8s.V1Pod(metadata=k8s.V1ObjectMeta(creation_timestamp=made))
    return task


def test_the_result_outweighs_the_pods_own_end(ended, platform, tmp_path):
    leave_result(platform, tmp_path / "work", "gate", "rejected")
    with pytest.raises(AirflowSkipException, match="gate is rejected"):
        ended._conclude(task_context(), AirflowException("Pod returned a failure"))
    leave_result(platform, tmp_path / "work", "gate", links={"Gate report": "http://x"})
    assert ended._conclude(task_context(), AirflowException("lost the pod"))["status"] == "done"
    assert ended.links == {"Gate report": "http://x"}


def test_a_green_pod_without_a_result_has_failed(ended, platform, tmp_path):
    with pytest.raises(AirflowException, match="without a valid result"):
        ended._conclude(task_context(), None)
    leave_result(platform, tmp_path / "work", "gate", ago=3600)
    with pytest.raises(AirflowException, match="image cannot be pulled"):
        ended._conclude(task_context(), AirflowException("image cannot be pulled"))


def test_names_are_fit_for_kubernetes(platform, write_spec):
    from include.workflow.pods.build import pod_operator

    write_spec("a_rather_long_name_of_a_model_that_somebody_thought_of_one_day")
    spec = load_spec("a_rather_long_name_of_a_model_that_somebody_thought_of_one_day")
    call = StepCall(spec.name, "model_deployment", "shift", "shift_100")
    task = pod_operator(spec, platform.kubernetes, call, task_id="shift_100")
    pod = rendered(task)
    assert "_" not in pod.metadata.name
    assert len(pod.metadata.name) <= 63
