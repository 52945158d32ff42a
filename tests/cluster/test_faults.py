"""Pods, the triggerer, the scheduler and the kubelet are killed in mid-run: it ends as it would have, and nothing ran twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from kubernetes.client import ApiException  # noqa: TID253 - nothing here runs without a cluster

from include.local.airflow_api import AirflowApi, DagRun
from include.registry.models import Registry
from tests.cluster.kubelet import Kubelet
from tests.cluster.stack import PodStack

pytestmark = pytest.mark.timeout(2400)
T = TypeVar("T")
PATIENCE = 300
"""Seconds until a step's pod must run, on a machine that may be busy."""
AWAY_SECONDS = 20
"""How long the kubelet is away: longer than a step, shorter than the five minutes after which pods are given up."""


@pytest.fixture(scope="module")
def api(stack: PodStack) -> AirflowApi:
    """Return Airflow's API; the stack is up."""
    stack.start()
    found = stack.api()
    wait_for(lambda: "small.automl_pipeline" in found.dag_ids(), PATIENCE, "the DAGs of 'small'")
    return found


def wait_for(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Return what ``condition`` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.2)
    return found


def running(stack: PodStack, step: str, besides: str = "") -> Any:
    """Return the running pod of a step of 'small', or None; not the one called ``besides``."""
    selector = f"model-factory/model=small,model-factory/step={step}"
    found = stack.cluster.api.list_namespaced_pod(stack.cluster.namespace, label_selector=selector).items
    return next((pod for pod in found if pod.status.phase == "Running" and pod.metadata.name != besides), None)


def ended(api: AirflowApi, run: DagRun, seconds: float = 1200) -> str:
    def over() -> bool:
        return api.run(run.dag_id, run.run_id).state in ("success", "failed")

    wait_for(over, seconds, f"the end of {run.run_id}")
    return api.run(run.dag_id, run.run_id).state


def tries(stack: PodStack, run_id: str) -> dict[str, int]:
    """Return how many pods each step of a run of 'small' had."""
    return {step: n for (_, run, step), n in stack.log.tries(model="small").items() if run.endswith(f".{run_id}")}


def test_a_killed_pod_triggerer_and_scheduler_change_nothing(stack: PodStack, api: AirflowApi) -> None:
    run = api.trigger("small.automl_pipeline", "killed", {})
    wait_for(lambda: running(stack, "prepare"), PATIENCE, "the pod of 'prepare'")
    os.kill(stack.pid("airflow-triggerer"), signal.SIGKILL)
    victim = wait_for(lambda: running(stack, "search"), PATIENCE, "the pod of 'search'").metadata.name
    try:
        stack.cluster.api.delete_namespaced_pod(victim, stack.cluster.namespace, grace_period_seconds=0)
    except ApiException as error:
        pytest.fail(f"the pod of 'search' was over before it could be killed: {error.reason}")
    wait_for(lambda: running(stack, "search", besides=victim), PATIENCE, "another pod of 'search'")
    os.kill(stack.pid("airflow-scheduler"), signal.SIGKILL)
    assert ended(api, run) == "success"
    assert [version.number for version in Registry(stack.platform).versions("small")] == [1]
    pods = tries(stack, "killed")
    assert pods.pop("search") == 2, "the killed pod was started anew"
    assert set(pods.values()) == {1}, f"something ran twice: {pods}"


def test_a_kubelet_that_is_away_for_a_while_is_borne(stack: PodStack, api: AirflowApi) -> None:
    kubelet = Kubelet()
    run = api.trigger("small.model_training", "no-kubelet", {"force": True})
    wait_for(lambda: running(stack, "snapshot"), PATIENCE, "the pod of 'snapshot'")
    kubelet.kill()
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        kubelet.start()
    assert ended(api, run) == "success"
    pods = tries(stack, "no-kubelet")
    assert set(pods.values()) == {1}, f"something ran twice: {pods}"
