"""Many models at once through a pipeline in pods: no run is lost, and no step runs twice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.step_overhead import costs, table
from include.local.airflow_api import AirflowApi
from include.registry.models import Registry
from tests.cluster.stack import SMALL, PodStack
from tests.cluster.test_faults import api, ended, wait_for  # noqa: F401 - the fixture

MODELS = int(os.environ.get("FACTORY_TEST_MODELS", "3"))
"""How many at once."""
SECONDS = 900 + 240 * MODELS
"""How long all may take together, each in nine pods, where the whole cluster has two cores."""
pytestmark = pytest.mark.timeout(900 + SECONDS)


def test_no_run_is_lost_and_no_step_runs_twice(stack: PodStack, api: AirflowApi) -> None:  # noqa: F811
    names = [f"many_{number}" for number in range(MODELS)]
    texts = {
        f"{name}.yaml": SMALL.format(name=name, data="diabetes", kind="regression", target="progression")
        for name in names
    }
    folder = Path(stack.environment["FACTORY_MODELS_DIR"])
    for file, text in texts.items():
        (folder / file).write_text(text)
    stack.cluster.api.patch_namespaced_config_map("factory-models", stack.cluster.namespace, {"data": texts})
    wait_for(lambda: {f"{name}.automl_pipeline" for name in names} <= set(api.dag_ids()), 240, "the models' DAGs")
    began = time.monotonic()
    runs = [api.trigger(f"{name}.automl_pipeline", "many", {}) for name in names]
    states = [ended(api, run, SECONDS) for run in runs]
    print(f"{MODELS} models at once: {time.monotonic() - began:.0f} s; pods that failed: {sorted(stack.log.failed)}")
    assert set(states) == {"success"}, states
    print(table(costs(stack.platform, api, runs[0])))
    for name in names:
        assert [version.number for version in Registry(stack.platform).versions(name)] == [1], name
        pods = stack.log.pods(model=name, run="automl_pipeline.many")
        steps = [labels["model-factory/step"] for pod, labels in pods.items() if pod not in stack.log.failed]
        assert sorted(steps) == sorted(set(steps)), f"{name}: a step that was done was done again: {steps}"
        assert len(steps) == 9, (name, steps)
