"""Runs in a real MLflow server: once each, whatever is repeated, and with patience."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from include.registry.server import MlflowError, MlflowServer, NotInMlflowError
from include.registry.tracking import ChildRun, Tracking
from include.specs import TemporarilyUnavailableError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def client(mlflow_platform):
    return MlflowServer(mlflow_platform).client


def test_a_run_is_made_once_in_the_experiment_of_the_model(tracking, client, spec, mlflow_platform):
    run_id = tracking.ensure_run("automl_pipeline.a", "automl_pipeline")
    assert tracking.ensure_run("automl_pipeline.a", "automl_pipeline") == run_id
    assert Tracking(mlflow_platform, spec).ensure_run("automl_pipeline.a", "automl_pipeline") == run_id
    assert tracking.ensure_run("automl_pipeline.b", "automl_pipeline") != run_id
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == spec.name
    assert run.info.run_name == "automl_pipeline.a"
    assert run.data.tags["factory.owner"] == spec.owner


def test_more_than_one_request_holds_is_logged(tracking, client):
    run_id = tracking.ensure_run("r", "p")
    params = {f"p{i}": i for i in range(250)}
    metrics = {f"m{i}": i / 7 for i in range(1700)}
    tags = {f"t{i}": str(i) for i in range(120)}
    tracking.log(run_id, params, metrics, tags)
    data = client.get_run(run_id).data
    assert {key: data.params[key] for key in params} == {key: str(value) for key, value in params.items()}
    assert data.metrics == pytest.approx(metrics)
    assert {key: data.tags[key] for key in tags} == tags


def test_odd_values_are_logged_too(tracking, client):
    run_id = tracking.ensure_run("r", "p")
    tracking.log(
        run_id,
        {"nested": {"depth": 3, "layers": [1, 2]}, "long": "x" * 9000, "none": None},
        {"absent": None, "nan": float("nan"), "inf": float("inf")},
    )
    data = client.get_run(run_id).data
    assert data.params["nested.depth"] == "3"
    assert data.params["nested.layers"] == "[1, 2]"
    assert len(data.params["long"]) == 6000
    assert "absent" not in data.metrics
    assert math.isnan(data.metrics["nan"])


def test_a_retry_that_finds_another_value_does_not_fail(tracking, client):
    run_id = tracking.ensure_run("r", "p")
    tracking.log(run_id, {"algorithm": "linear", "depth": 3})
    tracking.log(run_id, {"algorithm": "xgboost", "depth": 3, "new": 1})
    data = client.get_run(run_id).data
    assert data.params == {"algorithm": "linear", "depth": "3", "new": "1"}
    assert data.tags["retried.algorithm"] == "xgboost"
    assert "retried.depth" not in data.tags


def test_trials_become_nested_runs_once(tracking, client):
    parent = tracking.ensure_run("r", "p")
    rows = [
        ChildRun(
            key=str(number),
            name=f"trial {number}",
            params={"algorithm": "linear", "C": number},
            metrics={"roc_auc": 0.5 + number / 10, "broken": None},
            status="FAILED" if number == 2 else "FINISHED",
            started=NOON,
            ended=NOON + timedelta(seconds=number),
        )
        for number in range(3)
    ]
    first = tracking.children(parent, rows[:2])
    assert tracking.children(parent, rows)[:2] == first
    assert tracking.children(parent, rows) == tracking.children(parent, rows)
    runs = client.search_runs([tracking.experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(run.info.run_name for run in runs) == ["trial 0", "trial 1", "trial 2"]
    last = next(run for run in runs if run.info.run_name == "trial 2")
    assert last.info.status == "FAILED"
    assert last.data.params == {"algorithm": "linear", "C": "2"}
    assert last.data.metrics == {"roc_auc": 0.7}
    assert last.info.end_time - last.info.start_time == 2000


def test_a_data_set_is_an_input(tracking, client):
    run_id = tracking.ensure_run("r", "p")
    for _ in range(2):
        tracking.dataset(
            run_id,
            name="churn",
            digest="sha256:" + "ab" * 32,
            source="s3://bucket/snapshots/x/data.parquet",
            columns={"age": "float64", "plan": "object", "seen": "datetime64[ns, UTC]", "vip": "boolean"},
            rows=100,
        )
    (entry,) = client.get_run(run_id).inputs.dataset_inputs
    assert entry.dataset.name == "churn"
    assert entry.dataset.digest == "ab" * 18
    assert entry.dataset.source_type == "s3"
    assert [column["type"] for column in json.loads(entry.dataset.schema)["mlflow_colspec"]] == [
        "double", "string", "datetime", "boolean",
    ]  # fmt: skip


def test_files_and_folders_are_kept_where_the_links_point(tracking, client, tmp_path):
    run_id = tracking.ensure_run("r", "p")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a b.png").write_bytes(b"png")
    (tmp_path / "board.html").write_text("<p>")
    tracking.artifacts(run_id, tmp_path / "plots", "plots")
    tracking.artifacts(run_id, tmp_path / "board.html")
    assert {entry.path for entry in client.list_artifacts(run_id)} == {"plots", "board.html"}
    assert [entry.path for entry in client.list_artifacts(run_id, "plots")] == ["plots/a b.png"]
    url = tracking.artifact_url(run_id, "plots/a b.png")
    assert url == f"{tracking.run_url(run_id)}/artifacts/plots/a%20b.png"
    assert httpx.get(url).status_code == 200


def test_system_metrics_are_logged_while_the_block_runs(tracking, client):
    run_id = tracking.ensure_run("r", "p")
    with tracking.system_metrics(run_id, interval=0.2):
        for _ in range(200):
            if "system/cpu_utilization_percentage" in client.get_run(run_id).data.metrics:
                break
    assert "system/cpu_utilization_percentage" in client.get_run(run_id).data.metrics


def test_an_ended_run_can_be_ended_otherwise(tracking, client):
    run_id = tracking.ensure_run("r", "p")
    tracking.finish(run_id)
    assert client.get_run(run_id).info.status == "FINISHED"
    tracking.finish(run_id, "FAILED")
    assert client.get_run(run_id).info.status == "FAILED"


def test_a_deleted_experiment_comes_back(tracking, client, mlflow_platform, spec):
    tracking.ensure_run("r", "p")
    client.delete_experiment(tracking.experiment)
    again = Tracking(mlflow_platform, spec)
    assert again.ensure_run("r", "p") == tracking.ensure_run("r", "p")


def test_a_server_that_is_down_for_a_while_is_waited_for(platform, spec, late_server):
    patient = platform.model_copy(update={"mlflow_uri": late_server(2.0), "service_retry_seconds": 60.0})
    assert Tracking(patient, spec).ensure_run("r", "p")


def test_a_server_that_stays_away_is_reported_without_its_password(platform, spec, late_server):
    uri = late_server(3600).replace("http://", "http://user:hunter2@")
    impatient = platform.model_copy(update={"mlflow_uri": uri, "service_retry_seconds": 0.1})
    with pytest.raises(
        TemporarilyUnavailableError, match=r"MLflow at http://127\S+ did not answer .*Connection refused\); start it"
    ) as error:
        Tracking(impatient, spec).ensure_run("r", "p")
    assert "hunter2" not in str(error.value)


def test_a_refusal_is_no_absence(mlflow_platform):
    server = MlflowServer(mlflow_platform)
    with pytest.raises(NotInMlflowError):
        server.ask(lambda client: client.get_run("0" * 32))
    with pytest.raises(MlflowError, match="refused"):
        server.ask(lambda client: client.create_registered_model("a/b:c"))
