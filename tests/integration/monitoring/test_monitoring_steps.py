"""Monitoring from the prediction log to the retraining request and its end, over a real MLflow registry.

The traffic is the simulated subscription business: weeks 56 to 59 are quiet, its documented shift begins in week 60.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from include.data.churn import SHIFT_WEEK, simulate, week_start
from include.features.prepared import Prepared
from include.registry.models import Change, Registry
from include.registry.tracking import Tracking
from include.specs import Platform, load_spec
from include.steps.kernel import Call, execute
from include.store.artifacts import ArtifactStore
from include.store.packages import Field, Manifest, ModelPackage, save_package, typed
from include.store.prediction_log import Label, Prediction, PredictionLog
from include.store.runs import Result, RunFolder
from include.store.signals import SignalStore

HIDDEN = ("customer_id", "observed_at", "churned")
KINDS = {"i": "number", "f": "number", "b": "boolean", "O": "string"}
QUIET, DRIFTED = range(SHIFT_WEEK - 4, SHIFT_WEEK), range(SHIFT_WEEK, SHIFT_WEEK + 3)


class Factory:
    """One model in operation: trains, registers, serves into the log, runs steps."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.platform, self.name = platform, name
        self.spec = load_spec(name)
        self.registry, self.log = Registry(platform), PredictionLog(platform)
        self.signals = SignalStore(platform)
        self.package: ModelPackage | None = None

    def train(self, run: str, start: int, weeks: int, folder: Path) -> int:
        """Train on simulated weeks, leave the run folder that training leaves, make it the champion."""
        history = simulate(start, weeks)
        features = [name for name in history if name not in HIDDEN]
        fields = tuple(Field(name=name, type=KINDS[history[name].dtype.kind]) for name in features)
        frame, target = typed(history, fields), history["churned"].to_numpy()
        cut = int(len(frame) * 0.75)
        text = [field.name for field in fields if field.type == "string"]
        numbers = [field.name for field in fields if field.type != "string"]
        estimator = make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
                (OneHotEncoder(handle_unknown="ignore"), text),
            ),
            LogisticRegression(max_iter=500),
        ).fit(frame[:cut], target[:cut])
        manifest = Manifest(
            model=self.name,
            task="binary",
            target="churned",
            features=fields,
            classes=(0, 1),
            algorithm="linear",
            run=run,
            trained_at=week_start(start + weeks),
        )
        self.package = ModelPackage(manifest, estimator)
        save_package(folder / "package", self.package)
        Prepared("binary", fields, (0, 1), frame[:cut], target[:cut], frame[cut:], target[cut:], ordered=True).save(
            folder / "prepared"
        )
        store, kept = ArtifactStore.of(self.platform), RunFolder(ArtifactStore.of(self.platform), self.name, run)
        store.upload(folder / "prepared", kept.path("prepare", "prepared"))
        store.upload(folder / "package", kept.path("search", "package"))
        mlflow_run = Tracking(self.platform, self.spec).ensure_run(run, "automl_pipeline")
        version = self.registry.register(self.name, folder / "package", run, mlflow_run, {}, "", "# card")
        self.registry.promote(self.name, version.number, Change("test", run))
        return version.number

    def serve(self, weeks: range, version: int) -> None:
        """Answer the customers of ``weeks`` and write the log, labels included."""
        assert self.package is not None
        fields = [field.name for field in self.package.manifest.features]
        for week in weeks:
            frame = simulate(week, 1, per_week=500, seed=0)
            rows = [
                {key: (None if value != value else value) for key, value in row.items()}
                for row in frame[fields].to_dict(orient="records")
            ]
            outputs = self.package.predict(self.package.frame(rows))
            ids = [f"{version}-{week}-{i}" for i in range(len(rows))]
            times = [time.to_pydatetime() for time in frame["observed_at"]]
            self.log.append(
                [
                    Prediction(i, self.name, str(version), "champion", time, time, row, output, 1.0)
                    for i, time, row, output in zip(ids, times, rows, outputs, strict=True)
                ]
            )
            self.log.append_labels(
                Label(i, self.name, label, time + timedelta(weeks=4))
                for i, label, time in zip(ids, frame["churned"].tolist(), times, strict=True)
            )

    def step(self, name: str, run: str, **params: object) -> Result:
        pipeline = run.split(".")[0]
        return execute(Call(name, name, self.name, pipeline, run, params), self.platform)

    def monitor(self, run: str, week: int) -> tuple[Result, Result]:
        as_of = week_start(week).isoformat()
        return self.step("monitor", run, as_of=as_of), self.step("decide", run)


@pytest.fixture
def factory(mlflow_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request) -> Factory:
    name = "watched_" + "".join(c for c in request.node.name if c.isalpha())[-30:].lower()
    document = {
        "name": name,
        "owner": "tests@example.com",
        "data": {"source": {"type": "dataset", "name": "churn_simulated"}, "time": "observed_at"},
        "problem": {"type": "binary", "target": "churned", "positive": 1, "metric": "roc_auc"},
        "retraining": {"k": 2, "n": 3, "retire_after": 2},
    }
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(folder))
    return Factory(mlflow_platform, name)


def test_from_quiet_weeks_to_drift_to_a_new_champion(factory: Factory, tmp_path: Path):
    champion = factory.train("automl_pipeline.first", SHIFT_WEEK - 30, 26, tmp_path / "first")
    factory.serve(QUIET, champion)

    monitored, decided = factory.monitor("model_monitoring.quiet", SHIFT_WEEK)
    assert monitored.status == "done", monitored.message
    windows = monitored.values["windows"]
    assert [window["start"] for window in windows] == [week_start(week).isoformat() for week in QUIET]
    assert [(window["rows"], window["signals"]) for window in windows] == [(500, [])] * 4
    assert decided.values["retrain"] is False
    latest = f"{week_start(SHIFT_WEEK - 1):%Y-%m-%d}/evidently.html"
    assert latest in monitored.artifacts
    assert monitored.links["Evidently report"].endswith(f"model_monitoring.quiet/monitor/{latest}")

    factory.serve(DRIFTED, champion)
    monitored, decided = factory.monitor("model_monitoring.drift", SHIFT_WEEK + 3)
    windows = monitored.values["windows"]
    assert [window["start"] for window in windows] == [week_start(week).isoformat() for week in DRIFTED]
    for window in windows:
        assert {"drift", "degradation"} <= set(window["signals"])
        assert "monthly_fee" in window["evidence"]["drifted"]
    assert decided.values["retrain"] is True
    (request,) = factory.signals.unannounced(factory.name)
    assert request.evidence["began"] == week_start(SHIFT_WEEK).isoformat()
    assert "monthly_fee" in request.evidence["drifted"]

    again = factory.step("decide", "model_monitoring.drift")
    assert again.values == decided.values
    assert len(factory.signals.requests(factory.name)) == 1

    # the request is open: the next monitoring run does not ask again
    assert factory.monitor("model_monitoring.later", SHIFT_WEEK + 3)[1].values["retrain"] is False

    # a new champion, trained on drifted weeks, starts with a clean slate and stays quiet on them
    successor = factory.train("model_retraining.one", SHIFT_WEEK, 3, tmp_path / "second")
    factory.signals.close_request(request.id, "registered")
    assert "0 of the last 0 windows" in factory.step("decide", "model_monitoring.new").values["reason"]
    factory.serve(range(SHIFT_WEEK + 3, SHIFT_WEEK + 5), successor)
    monitored, decided = factory.monitor("model_monitoring.after", SHIFT_WEEK + 5)
    assert [(window["version"], window["signals"]) for window in monitored.values["windows"]] == [
        (str(successor), [])
    ] * 2
    assert decided.values["retrain"] is False


def test_what_cannot_be_judged_is_said(factory: Factory, tmp_path: Path):
    unreleased = factory.step("monitor", "model_monitoring.none")
    assert unreleased.status == "rejected"
    assert "no champion" in unreleased.message

    champion = factory.train("automl_pipeline.first", SHIFT_WEEK - 10, 4, tmp_path / "first")
    empty = factory.step("monitor", "model_monitoring.empty")
    assert (empty.status, empty.values["windows"]) == ("done", [])
    assert "no prediction" in empty.message

    factory.serve(QUIET[:1], champion)
    open_window = factory.step("monitor", "model_monitoring.open")
    assert open_window.values["windows"] == []
    assert "no complete window" in open_window.message

    ArtifactStore.of(factory.platform).delete(f"runs/{factory.name}/automl_pipeline.first/prepare")
    monitored, decided = factory.monitor("model_monitoring.lost", SHIFT_WEEK)
    (window,) = monitored.values["windows"]
    assert window["evidence"]["judged"] is False
    assert "train the model again" in window["evidence"]["note"]
    assert monitored.links == {}
    assert decided.values["retrain"] is False


def test_retrainings_that_keep_failing_flag_the_model(factory: Factory, tmp_path: Path):
    factory.train("automl_pipeline.first", SHIFT_WEEK - 10, 4, tmp_path / "first")

    def closed(number: int, task: str | None, status: str = "done") -> dict:
        """Ask for a retraining, let it end with ``task`` in ``status``, and close it."""
        run = f"model_retraining.r{number}"
        factory.signals.request_retraining(factory.name, week_start(number), "drift", {})
        if task is not None:
            now = datetime.now(UTC)
            result = Result(
                model=factory.name,
                pipeline="model_retraining",
                run=run,
                step=task,
                status=status,
                started=now,
                ended=now,
            )
            (tmp_path / run).mkdir()
            RunFolder(ArtifactStore.of(factory.platform), factory.name, run).finish(result, tmp_path / run)
        return factory.step("close_retraining", run).values

    assert closed(0, "gate", "rejected") == {"outcome": "rejected", "failures_in_row": 1, "flagged": False}
    assert closed(1, "register") == {"outcome": "registered", "failures_in_row": 0, "flagged": False}
    assert closed(2, "search", "failed") == {"outcome": "failed", "failures_in_row": 1, "flagged": False}
    assert closed(3, None) == {"outcome": "failed", "failures_in_row": 2, "flagged": True}
    again = factory.step("close_retraining", "model_retraining.r3")
    assert again.values == {"outcome": "failed", "failures_in_row": 2, "flagged": True}
    assert "flagged for retirement" in again.message
    champion = factory.registry.get(factory.name, "champion")
    assert champion is not None
    assert champion.tags["factory.retirement"] == "flagged"
    outcomes = [request.outcome for request in factory.signals.requests(factory.name)]
    assert outcomes == ["rejected", "registered", "failed", "failed"]


def test_a_request_made_while_training_runs_stays_open(factory: Factory, tmp_path: Path):
    began = datetime.now(UTC)
    result = Result(
        model=factory.name,
        pipeline="model_retraining",
        run="model_retraining.r",
        step="check",
        status="done",
        started=began,
        ended=began,
    )
    (tmp_path / "empty").mkdir()
    RunFolder(ArtifactStore.of(factory.platform), factory.name, result.run).finish(result, tmp_path / "empty")
    factory.signals.request_retraining(factory.name, week_start(1), "drift", {})
    factory.step("close_retraining", result.run)
    assert [request.outcome for request in factory.signals.requests(factory.name)] == [None]
