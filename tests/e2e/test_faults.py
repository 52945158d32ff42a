"""What is killed in mid-run ends right after it is back; what is broken is told, and breaks nothing else."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
import psutil
import pytest

from include.local.airflow_api import AirflowApi, DagRun
from include.local.environment import ADMIN, stack_secrets
from include.local.stack import Stack as LocalStack
from include.registry.models import Registry
from include.store.prediction_log import PredictionLog
from include.store.routes import RouteStore
from tests.e2e.conftest import Stack

T = TypeVar("T")


@pytest.fixture(scope="module")
def api(stack: Stack) -> AirflowApi:
    """Return Airflow's API; the stack is up."""
    up = stack.command("start")
    assert up.returncode == 0, up.stdout
    password = stack_secrets(stack.platform)["airflow_password"]
    return AirflowApi(stack.platform.airflow_url, ADMIN, password)


def wait_for(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Return what ``condition`` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)
    return found


def ended(api: AirflowApi, run: DagRun, seconds: float = 300) -> DagRun:
    wait_for(
        lambda: api.run(run.dag_id, run.run_id).state in ("success", "failed"), seconds, f"the end of {run.run_id}"
    )
    return api.run(run.dag_id, run.run_id)


def step_process(model: str, step: str) -> psutil.Process | None:
    """Return the process that runs a step of ``model``."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "include.steps" in words and step in words and model in words:
            return process
    return None


def asked_in_vain(stack: Stack, run: DagRun) -> int:
    """Return how often the steps of ``run`` asked for a service that was away."""
    logs = stack.platform.home.glob(f"airflow/logs/dag_id={run.dag_id}/run_id={run.run_id}/**/*.log")
    return sum(log.read_text(encoding="utf-8").count("include.store.retry: Retrying") for log in logs)


def pid_of(stack: Stack, program: str) -> int:
    line = next(x for x in LocalStack(stack.platform).status().splitlines() if x.startswith(program))
    return int(line.split("pid ")[1].split(",")[0])


def test_a_killed_step_and_a_killed_scheduler_change_nothing(stack: Stack, api: AirflowApi) -> None:
    run = api.trigger("breast_cancer.automl_pipeline", "killed", {"budget": 15})
    victim = wait_for(lambda: step_process("breast_cancer", "prepare"), 120, "the step 'prepare'")
    assert victim is not None
    victim.kill()
    wait_for(lambda: step_process("breast_cancer", "search"), 120, "the step 'search'")
    psutil.Process(pid_of(stack, "airflow-scheduler")).send_signal(signal.SIGKILL)
    assert ended(api, run).state == "success"
    versions = Registry(stack.platform).versions("breast_cancer")
    assert [version.number for version in versions] == [1], "registered once, whatever was killed"
    tries = {task.task_id.rsplit(".", 1)[-1]: task.attempt for task in api.tasks(run)}
    assert tries["prepare"] >= 2, "the killed step was run again"


def test_two_runs_of_a_model_at_once_register_it_once(stack: Stack, api: AirflowApi) -> None:
    runs = [api.trigger("diabetes.automl_pipeline", f"twin-{i}", {"budget": 5}) for i in range(2)]
    assert {ended(api, run).state for run in runs} == {"success"}
    assert len(Registry(stack.platform).versions("diabetes")) == 1, "the second found nothing new and was rejected"


def test_a_killed_model_server_keeps_its_release_and_its_answers(stack: Stack, api: AirflowApi) -> None:
    wait_for(lambda: RouteStore(stack.platform).get("diabetes"), 400, "the release of diabetes")
    wait_for(lambda: Registry(stack.platform).get("diabetes", "champion"), 60, "the champion of diabetes")
    before = RouteStore(stack.platform).get("diabetes")
    url = stack.platform.serving_url
    metadata = httpx.get(f"{url}/v2/models/diabetes", trust_env=False).json()
    row = {tensor["name"]: 1.0 for tensor in metadata["inputs"]}
    acknowledged = []
    for i in range(50):
        body = {"id": f"kill-{i}", "features": row}
        answer = httpx.post(f"{url}/v1/models/diabetes/predict", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        acknowledged.append(f"kill-{i}")
    psutil.Process(pid_of(stack, "model-server")).kill()

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/v2/models/diabetes/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_for(ready, 60, "the model server to be back")
    assert RouteStore(stack.platform).get("diabetes") == before
    log = PredictionLog(stack.platform)
    wait_for(lambda: set(acknowledged) <= set(log.frame("diabetes")["id"]), 30, "every acknowledged prediction")


def test_a_broken_spec_breaks_that_model_alone(stack: Stack, api: AirflowApi) -> None:
    broken = stack.models / "broken.yaml"
    broken.write_text(
        "name: broken\nowner: me\ndata: {source: {path: x.csv}, wndow: 7d}\nproblem: {type: binary, target: y}"
    )
    try:
        wait_for(lambda: any("did you mean 'window'" in text for text in api.import_errors()), 90, "the import error")
        assert "churn.automl_pipeline" in api.dag_ids()
    finally:
        broken.unlink()
    wait_for(lambda: not api.import_errors(), 90, "the import error to go")


def test_a_new_spec_is_picked_up_and_its_wrong_target_is_told(stack: Stack, api: AirflowApi) -> None:
    spec = stack.models / "fresh.yaml"
    spec.write_text(
        "name: fresh\nowner: me\ndata: {source: {type: dataset, name: diabetes}}\nproblem: {type: regression, target: progresion}"
    )
    try:
        wait_for(lambda: "fresh.automl_pipeline" in api.dag_ids(), 90, "the new model's DAG")
        run = api.trigger("fresh.automl_pipeline", "wrong", {})
        assert ended(api, run).state == "failed"
        result = (
            stack.platform.home / "artifacts" / "runs" / "fresh" / "automl_pipeline.wrong" / "check" / "result.json"
        )
        assert "did you mean 'progression'" in json.loads(result.read_text())["message"]
    finally:
        spec.unlink()


def test_mlflow_away_for_a_while_is_borne(stack: Stack, api: AirflowApi) -> None:
    local = LocalStack(stack.platform)
    # a budget that gives as good a model as the champion's did: the gate would rightly refuse a worse one
    run = api.trigger("diabetes.automl_pipeline", "mlflow-away", {"budget": 10, "force": True})
    wait_for(lambda: step_process("diabetes", "search"), 120, "the step 'search'")
    local._control("stop", "mlflow")
    wait_for(lambda: asked_in_vain(stack, run) >= 4, 120, "a step that misses MLflow")
    local._control("start", "mlflow")
    assert ended(api, run).state == "success"
    assert len(Registry(stack.platform).versions("diabetes")) == 2
