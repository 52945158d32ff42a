"""The whole life of churn with every step in a pod: artifacts in S3, tables and MLflow on PostgreSQL, a cache in Redis."""

from __future__ import annotations

import pytest

from benchmarks.step_overhead import costs, table
from include.registry.models import Registry
from include.store.artifacts import ArtifactStore
from include.store.prediction_log import PredictionLog
from include.store.routes import RouteStore
from include.store.runs import RunFolder, runs
from include.store.signals import SignalStore
from tests.cluster.stack import PodStack

pytestmark = pytest.mark.timeout(1800)
BEFORE_EVALUATE = ("check", "snapshot", "validate", "prepare", "search", "evaluate")


@pytest.fixture(scope="module")
def lived(stack: PodStack) -> str:
    """Return what `make run` printed for churn."""
    stack.start()
    done = stack.command("run", "churn")
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    api = stack.api()
    for pipeline in ("automl_pipeline", "model_monitoring"):
        run = api.runs(f"churn.{pipeline}")[-1]
        print(f"What pods cost in {run.dag_id} {run.run_id}:\n{table(costs(stack.platform, api, run))}")
    return done.stdout


def test_the_life_goes_through_the_same_stages_to_the_same_end(stack: PodStack, lived: str) -> None:
    for stage in ("Training", "Release", "Serving", "Drift", "Retraining", "Rollout"):
        assert f"\n{stage} " in lived
    assert "version 2 is the new champion" in lived
    registry = Registry(stack.platform)
    champion, archived = registry.get("churn", "champion"), registry.get("churn", 1)
    assert champion is not None
    assert archived is not None
    assert (champion.number, champion.stage, archived.stage) == (2, "Production", "Archived")
    route = RouteStore(stack.platform).get("churn")
    assert route is not None
    assert [(v.version, v.weight) for v in route.variants] == [("2", 100)]
    windows = SignalStore(stack.platform).windows("churn")
    assert [bool(window.signals) for window in windows] == [False] * 4 + [True] * 3
    assert PredictionLog(stack.platform).frame("churn")["label"].notna().sum() == 7 * 400


def test_every_step_ran_in_one_pod_and_left_its_result_in_the_bucket(stack: PodStack, lived: str) -> None:
    tries = stack.log.tries(model="churn")
    assert set(tries.values()) == {1}, {step: count for step, count in tries.items() if count > 1}
    store = ArtifactStore.of(stack.platform)
    assert store.uri.startswith("s3://")
    left = {
        (run, step)
        for run in runs(store, "churn")
        for step in store.folders(f"runs/churn/{run}")
        if RunFolder(store, "churn", run).find(step) is not None and step != "rejected"
    }
    assert len(left) == len(tries), (left, set(tries))


def test_a_pod_finds_the_same_model_as_a_process(stack: PodStack, lived: str) -> None:
    run = "automl_pipeline.in-a-process"
    for step in BEFORE_EVALUATE:
        done = stack.run("include.steps", step, "--model", "churn", "--pipeline", "automl_pipeline", "--run", run)
        assert done.returncode == 0, done.stderr[-3000:]
    store = ArtifactStore.of(stack.platform)
    trained = next(name for name in runs(store, "churn") if name.startswith("automl_pipeline.life-train"))
    pod, process = (RunFolder(store, "churn", name).result("evaluate").values["metrics"] for name in (trained, run))
    assert pod.keys() == process.keys()
    for metric, found in pod.items():
        assert found == pytest.approx(process[metric], abs=1e-9), metric
