"""The life of a step's pod, whatever dies around it: one pod an attempt, and the result is the truth."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred

from include.specs import load_platform
from include.workflow.build import dags
from include.workflow.log_lines import repeat
from tests.unit.workflow.fake_cluster import Cluster, Store, error
from tests.unit.workflow.fakes import leave_result, task_context

RESOURCES = """
resources:
  gate: {requests: {memory: 128Mi}, limits: {memory: 256Mi}, memory_bound: 1Gi}
"""


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def context() -> dict[str, Any]:
    made = task_context()
    ti = made["ti"]
    ti.task_id, ti.map_index, ti.try_number = "gates.gate", -1, 1
    return {**made, "task_state_store": Store(), "dag": None}


@pytest.fixture
def worker(write_spec, monkeypatch, cluster):
    """Return a maker of the 'gate' task as a fresh worker has it: nothing is kept but the cluster and the store."""
    monkeypatch.setenv("FACTORY_RUNTIME", "kubernetes")
    monkeypatch.setenv("FACTORY_KUBERNETES__IN_CLUSTER", "false")
    monkeypatch.setenv("FACTORY_SERVICE_RETRY_SECONDS", "0.1")
    load_platform.cache_clear()
    write_spec("shop", more=RESOURCES)

    def make() -> Any:
        task = dags("automl_pipeline")["shop.automl_pipeline"].get_task("gate")
        task.__dict__["client"] = cluster
        task.__dict__["hook"] = type("Hook", (), {"is_in_cluster": False})()
        return task

    return make


def started(worker, context) -> dict[str, Any]:
    """Start, or find, the pod; return the triggerer's view of it."""
    with pytest.raises(TaskDeferred) as deferred:
        worker().execute(context)
    path, kwargs = deferred.value.trigger.serialize()
    assert path == "include.workflow.pods.trigger.StepPodTrigger"
    assert deferred.value.method_name == "trigger_reentry"
    return kwargs


def event(kwargs: dict[str, Any], status: str = "ended", message: str = "") -> dict[str, Any]:
    return {"status": status, "message": message, "name": kwargs["pod_name"], "last_log_time": None}


def test_the_result_of_a_pod_that_ended_well_is_handed_on_and_the_pod_deleted(
    worker, context, cluster, platform, tmp_path
):
    kwargs = started(worker, context)
    leave_result(platform, tmp_path / "work", "gate", links={"Gate report": "http://x"})
    cluster.end()
    task = worker()
    assert task.trigger_reentry(context, event(kwargs))["status"] == "done"
    assert task.links == {"Gate report": "http://x"}
    assert context["ti"].pushed["return_value"]["message"] == "gate is done"
    assert cluster.pods == {}


def test_a_worker_that_takes_over_finds_the_pod_and_makes_no_second_one(worker, context, cluster):
    first, second = started(worker, context), started(worker, context)
    assert first == second
    assert len(cluster.created) == 1


def test_a_pod_that_ended_while_nobody_looked_is_believed_and_not_run_again(
    worker, context, cluster, platform, tmp_path
):
    started(worker, context)
    leave_result(platform, tmp_path / "work", "gate")
    cluster.end()
    assert worker().execute(context)["status"] == "done"
    assert len(cluster.created) == 1


def test_a_pod_that_is_gone_after_its_success_has_succeeded(worker, context, cluster, platform, tmp_path):
    kwargs = started(worker, context)
    leave_result(platform, tmp_path / "work", "gate")
    cluster.pods.clear()
    assert worker().execute(context)["status"] == "done"
    assert len(cluster.created) == 1
    assert kwargs["pod_name"] == cluster.created[0].metadata.name


def test_a_rejection_skips_the_task_though_the_pod_failed(worker, context, cluster, platform, tmp_path):
    kwargs = started(worker, context)
    leave_result(platform, tmp_path / "work", "gate", "rejected")
    cluster.end(10, "Error")
    with pytest.raises(AirflowSkipException, match="gate is rejected"):
        worker().trigger_reentry(context, event(kwargs))
    assert len(cluster.pods) == 1, "a pod that failed is kept for a look"


def test_an_earlier_result_proves_nothing(worker, context, cluster, platform, tmp_path):
    leave_result(platform, tmp_path / "work", "gate")
    kwargs = started(worker, context)
    cluster.end()
    with pytest.raises(AirflowException, match=r"without a valid result .*exit code 0"):
        worker().trigger_reentry(context, event(kwargs))


def test_a_deleted_pod_is_started_anew_by_the_next_try(worker, context, cluster, platform, tmp_path):
    kwargs = started(worker, context)
    cluster.pods.clear()
    with pytest.raises(AirflowException, match=r"the pod is gone.*starts the step anew"):
        worker().trigger_reentry(context, event(kwargs, "gone"))
    again = started(worker, context)
    assert again["pod_name"] != kwargs["pod_name"]
    assert [pod.metadata.labels["model-factory/attempt"] for pod in cluster.created] == ["1", "2"]


def test_a_task_that_is_run_again_by_hand_runs_again(worker, context, cluster, platform, tmp_path):
    kwargs = started(worker, context)
    leave_result(platform, tmp_path / "work", "gate")
    cluster.end()
    worker().trigger_reentry(context, event(kwargs))
    started(worker, context)
    assert len(cluster.created) == 2


def test_a_worker_that_was_cut_off_while_it_made_the_pod_leaves_one_that_is_found(worker, context, cluster):
    made = cluster.create_namespaced_pod

    def cut_off(namespace: str, body: Any) -> Any:
        made(namespace, body)
        raise KeyboardInterrupt

    cluster.create_namespaced_pod = cut_off
    with pytest.raises(KeyboardInterrupt):
        worker().execute(context)
    cluster.create_namespaced_pod = made
    assert started(worker, context)["pod_name"] == cluster.created[0].metadata.name
    assert len(cluster.created) == 1


def memory(pod: Any) -> tuple[str, str]:
    resources = pod.spec.containers[0].resources
    return resources.requests["memory"], resources.limits["memory"]


def test_a_pod_out_of_memory_gets_twice_as_much_up_to_the_bound(worker, context, cluster):
    for more in ("512Mi", "1024Mi"):
        kwargs = started(worker, context)
        cluster.end(137, "OOMKilled")
        with pytest.raises(AirflowException, match=f"the next try gets {more}"):
            worker().trigger_reentry(context, event(kwargs))
    kwargs = started(worker, context)
    cluster.end(137, "OOMKilled")
    assert [memory(pod) for pod in cluster.created] == [
        *(("128Mi", "256Mi"), ("256Mi", "512Mi"), ("512Mi", "1024Mi")),
    ]
    told = "bound of 1Gi is reached: attempt 1: 256Mi was too little; attempt 2: 512Mi .*; attempt 3: 1024Mi"
    with pytest.raises(AirflowFailException, match=told):
        worker().trigger_reentry(context, event(kwargs))


def test_a_pod_that_cannot_start_fails_for_good_and_is_deleted(worker, context, cluster):
    kwargs = started(worker, context)
    with pytest.raises(AirflowFailException, match=r"pod shop-gate-1-.* cannot start: image 'x' cannot be pulled"):
        worker().trigger_reentry(context, event(kwargs, "stuck", "image 'x' cannot be pulled"))
    assert cluster.pods == {}


def test_a_full_quota_is_waited_for_without_a_worker(worker, context, cluster):
    full = "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"
    cluster.refuse = [error(403, "Forbidden", full)]
    with pytest.raises(TaskDeferred) as deferred:
        worker().execute(context)
    assert deferred.value.method_name == "go_on"
    with pytest.raises(TaskDeferred):
        worker().go_on(context)
    assert len(cluster.created) == 1


def test_a_quota_that_stays_full_is_told(worker, context, cluster, monkeypatch):
    monkeypatch.setenv("FACTORY_KUBERNETES__PENDING", "0s")
    load_platform.cache_clear()
    full = "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"
    cluster.refuse = [error(403, "Forbidden", full)]
    with pytest.raises(AirflowFailException, match="there was no room within 0:00:00: quota 'small'"):
        worker().execute(context)


def test_a_forbidden_pod_is_told_at_once(worker, context, cluster):
    cluster.refuse = [error(403, "Forbidden", 'User "ada" cannot create resource "pods"')]
    with pytest.raises(AirflowFailException, match="'ada' may not handle pods in namespace 'model-factory'"):
        worker().execute(context)


def test_an_api_server_that_is_away_leaves_the_attempt_to_the_next_try(worker, context, cluster):
    cluster.refuse = [OSError("connection refused")] * 99
    with pytest.raises(AirflowException, match="API server did not answer"):
        worker().execute(context)
    cluster.refuse = []
    started(worker, context)
    assert cluster.created[0].metadata.labels["model-factory/attempt"] == "1"


def test_what_the_step_said_since_the_last_look_is_in_the_tasks_log(
    worker, context, cluster, platform, tmp_path, monkeypatch
):
    kwargs = started(worker, context)
    leave_result(platform, tmp_path / "work", "gate")
    cluster.said = b"2026-11-21T10:00:00.1Z INFO early\n2026-11-21T10:00:09.1Z WARNING late\n"
    cluster.end()
    said: list[str] = []
    monkeypatch.setattr("include.workflow.pods.operator.repeat", lambda line, log: said.append(line))
    worker().trigger_reentry(context, {**event(kwargs), "last_log_time": "2026-11-21T10:00:05.5+00:00"})
    assert said == ["WARNING late"]


def test_a_line_keeps_its_level():
    said: list[tuple[int, str]] = []
    log = type("Log", (), {"log": lambda self, level, _, text: said.append((level, text))})()
    for line in ("INFO early", "WARNING late", "no level"):
        repeat(line, log)
    assert said == [(20, "early"), (30, "late"), (20, "no level")]
