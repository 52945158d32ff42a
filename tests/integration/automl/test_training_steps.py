"""Search, evaluate, report, gate: the steps of a training run in a row, against a real MLflow server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from include.automl.result import configurations
from include.inference.choice import Choice
from include.inference.load import load_scorer
from include.registry.models import Change, Registry
from include.registry.server import MlflowServer
from include.store.packages import load_package
from include.store.runs import Result
from tests.integration.automl.conftest import Training

BINARY = {
    "problem": {"type": "binary", "target": "malignant", "positive": True, "metric": "roc_auc"},
    "search": {"budget": "30s", "max_trials": 4, "folds": 3},
    "gates": {"thresholds": [{"metric": "roc_auc", "min": 0.95}], "max_latency_ms": 500},
}


def breast_cancer() -> pd.DataFrame:
    bunch = load_breast_cancer(as_frame=True)
    return bunch.data.iloc[:, :8].assign(malignant=bunch.target == 0)


def judged(run: Training, **params: object) -> dict[str, Result]:
    results = {name: run.step(name, **params) for name in ("search", "evaluate", "report", "gate")}
    for name, result in results.items():
        assert result.status != "failed", (name, result.message)
    return results


def children(run: Training, parent: str) -> list:
    client = MlflowServer(run.platform).client
    experiment = client.get_experiment_by_name(run.spec.name).experiment_id
    return client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")


def test_a_candidate_passes_and_is_held_against_the_next_time(train: Callable[..., Training]) -> None:
    first = train(BINARY)
    first.prepare(breast_cancer())
    results = judged(first)
    everything_is_in_the_results(first, results)
    everything_is_in_mlflow(first, results)

    search = results["search"].values
    registry = Registry(first.platform)
    with first.folder.store.local(first.folder.path("search", "package")) as folder:
        tags = {"factory.algorithm": search["algorithm"], "factory.parameters": search["parameters"]}
        champion = registry.register(
            first.spec.name, Path(folder), first.run, search["mlflow_run"], tags, "first", "# card"
        )
    registry.promote(first.spec.name, champion.number, Change("first release", "model_deployment.test"))
    again = train(BINARY, first.spec.name, "model_training.test", "model_training")
    again.prepare(breast_cancer())
    results = judged(again)
    values, gate = results["search"].values, results["gate"].values
    before, after = (configurations(of["algorithm"], json.loads(of["parameters"])) for of in (search, values))
    assert values["strategy"] == "refit" and values["trials"] == len(before)
    assert set(map(repr, after)) <= set(map(repr, before)), "of the champion's own trials the weights are chosen anew"
    assert gate["champion"] == champion.number and gate["verdict"] == "pass"
    assert gate["comparison"]["low"] <= gate["comparison"]["value"] <= gate["comparison"]["high"]
    assert gate["comparison"]["value"] == pytest.approx(0, abs=0.02)  # the same rows and configurations


def everything_is_in_the_results(run: Training, results: dict[str, Result]) -> None:
    search, evaluate, report, gate = (results[name].values for name in ("search", "evaluate", "report", "gate"))
    assert search["trials"] == 4 and search["strategy"] == "search"
    found = evaluate["metrics"]["roc_auc"]
    assert found["value"] > 0.95 and found["low"] < found["value"] <= found["high"]
    assert report["drift_share"] < 0.5 and report["rows_test"] == 143
    assert gate["verdict"] == "pass" and gate["champion"] is None and gate["comparison"] is None
    names = {entry["name"] for entry in gate["gates"]}
    assert names == {"roc_auc >= 0.95", "drift", "data quality", "latency", "size"}
    with run.folder.store.local(run.folder.path("search", "package")) as folder:
        manifest = load_package(Path(folder)).manifest
        choice = Choice.load(Path(folder))
        scorer = load_scorer(Path(folder), manifest)
    assert choice.model_dump() == search["packaging"]
    assert scorer.name == choice.runtime == min(choice.candidates, key=lambda tried: tried.one_ms).runtime
    assert all(tried.faithful and tried.rows == 569 for tried in choice.candidates)
    assert manifest.algorithm == search["algorithm"]
    assert manifest.classes == (False, True) and manifest.ignored == ("row",)


def everything_is_in_mlflow(run: Training, results: dict[str, Result]) -> None:
    run_id, found = results["search"].values["mlflow_run"], results["evaluate"].values["metrics"]["roc_auc"]
    client = MlflowServer(run.platform).client
    logged = client.get_run(run_id).data
    assert logged.metrics["roc_auc"] == pytest.approx(found["value"])
    assert logged.metrics["roc_auc_low"] == pytest.approx(found["low"])
    assert logged.tags["factory.verdict"] == "pass"
    files = {
        entry.path
        for folder in ("search", "search/plots", "plots", "evidently", "gates", "evaluation", "report")
        for entry in client.list_artifacts(run_id, folder)
    }
    assert files >= {
        "search/report.html", "report/report.html", "evaluation/explanation.json", "plots/lift.png",
        "search/leaderboard.html", "search/plots/optimisation_history.png", "plots/roc.png", "plots/calibration.png",
        "plots/confusion.png", "plots/importance.png", "evidently/evidently.html", "evidently/evidently.json",
        "gates/gates.html", "gates/gates.json", "evaluation/metrics.json",
    }  # fmt: skip
    (nested,) = children(run, run_id)
    trials = children(run, nested.info.run_id)
    assert len(trials) == 4
    assert {trial.data.params["family"] for trial in trials} == {"linear", "lightgbm", "catboost", "neural_net"}


def test_a_refit_without_a_champion_searches_and_says_so(train: Callable[..., Training]) -> None:
    run = train({**BINARY, "search": {"budget": "20s", "max_trials": 1, "families": ["linear"], "folds": 2}})
    run.prepare(breast_cancer())
    result = run.step("search", strategy="refit")
    assert result.status == "done"
    assert result.values["strategy"] == "search" and "no champion" in result.message


def test_an_ensemble_that_a_gate_would_refuse_gives_way_to_a_single_model(train: Callable[..., Training]) -> None:
    wanted = {"budget": "20s", "max_trials": 2, "families": ["linear", "lightgbm"], "folds": 2}
    run = train({**BINARY, "search": wanted, "gates": {"max_latency_ms": 0.001}})
    run.prepare(breast_cancer())
    result = run.step("search")
    assert result.status == "done" and "the best trial alone is the model" in result.message
    assert "gates.max_latency_ms: 0.001" in result.message
    assert result.values["algorithm"] in ("linear", "lightgbm") and result.values["trials"] == 2
    with run.folder.store.local(run.folder.path("search", "package")) as folder:
        model = load_package(Path(folder)).estimator.steps[-1][1]
    assert type(model).__module__.startswith(("sklearn.linear_model", "lightgbm")), "fitted once, on all rows"


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_go_all_the_way(train: Callable[..., Training], task: str) -> None:
    if task == "regression":
        frame, target, bound = load_diabetes(as_frame=True).frame, "target", {"metric": "r2", "min": 0.99}
    else:
        frame, target, bound = load_wine(as_frame=True).frame, "target", {"metric": "accuracy", "min": 0.8}
    run = train(
        {
            "problem": {"type": task, "target": target},
            "search": {"budget": "30s", "max_trials": 2, "families": ["linear", "xgboost"], "folds": 3},
            "gates": {"thresholds": [bound], "max_latency_ms": 500},
        }
    )
    run.prepare(frame)
    gate = judged(run)["gate"]
    if task == "multiclass":
        assert gate.status == "done" and gate.values["verdict"] == "pass"
    else:
        assert gate.status == "rejected"
        assert "1 of" in gate.message and "r2 >= 0.99" in gate.message and " off" in gate.message
        assert gate.values["verdict"] == "fail"
