"""A small life's worth of real steps, and everything else that a factory writes down while it lives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from include.data.churn import week_start
from include.features.feast_files import write_feature_files
from include.registry.models import Change, Registry
from include.specs import Platform
from include.steps.kernel import Call, execute
from include.store.api_keys import ApiKeyStore
from include.store.prediction_log import Label, Prediction, PredictionLog
from include.store.routes import Route, RouteStore, Variant
from include.store.runs import Result
from include.store.signals import SignalStore, Window

MODEL, SHOP = "tumours", "churn_feast"
TRAINING = ("check", "snapshot", "validate", "prepare", "search", "evaluate", "report", "gate", "register")
PARAMS = {"strategy": "search", "force": True}
"""Of every run: the data of these tests never change."""
START = datetime(2026, 3, 2, tzinfo=UTC)
FIRST_WEEK, WEEKS, PER_WEEK = 30, 3, 40


def write_specs(folder: Path, data: Path) -> None:
    """Write the specs of a model on shipped data, and of one whose features are in the feature store."""
    folder.mkdir(parents=True, exist_ok=True)
    tumours = {
        "name": MODEL,
        "owner": "tests",
        "data": {"source": {"type": "dataset", "name": "breast_cancer"}},
        "problem": {"type": "binary", "target": "diagnosis", "positive": "malignant"},
        "search": {"budget": "60s", "max_trials": 2, "families": ["linear"], "folds": 2},
        "gates": {"thresholds": [{"metric": "roc_auc", "min": 0.6}], "max_latency_ms": 2000},
    }
    shop = {
        "name": SHOP,
        "owner": "tests",
        "data": {
            "source": {"type": "feast", "service": "churn_v1", "entities": str(data / "churn_entities.parquet")},
            "id": "customer_id",
            "time": "observed_at",
        },
        "problem": {"type": "binary", "target": "churned", "positive": 1},
    }
    for spec in (tumours, shop):
        (folder / f"{spec['name']}.yaml").write_text(yaml.safe_dump(spec))


def step(platform: Platform, name: str, model: str, run: str, **params: object) -> Result:
    """Run a step as the command line does, and see it done."""
    result = execute(Call(name, name, model, run.partition(".")[0], run, params), platform)
    assert result.status == "done", (name, result.message)
    return result


def train(platform: Platform, run: str, steps: tuple[str, ...] = TRAINING) -> None:
    """Run the training pipeline's steps, one after the other."""
    for name in steps:
        step(platform, name, MODEL, run, **PARAMS)


def materialise(platform: Platform) -> None:
    """Fill the online store."""
    start, end = week_start(FIRST_WEEK) - timedelta(days=21), week_start(FIRST_WEEK + WEEKS)
    step(platform, "materialize", SHOP, "feature_materialization.one", start=start.isoformat(), end=end.isoformat())


def live(platform: Platform, data: Path) -> str:
    """Train two versions, release both in turn, log predictions with their truth, raise a signal, make a key.

    Returns:
        The key.
    """
    train(platform, "automl_pipeline.one")
    registry = Registry(platform)
    registry.promote(MODEL, 1, Change("first release", "model_deployment.one"))
    again = ("prepare", "search", "evaluate", "report", "gate", "register")
    train(platform, "automl_pipeline.two", ("check", "snapshot", "validate", *again))
    registry.promote(MODEL, 2, Change("second release", "model_deployment.two"))
    key = write_records(platform)
    write_feature_files(data, FIRST_WEEK, WEEKS, PER_WEEK)
    materialise(platform)
    return key


def write_records(platform: Platform) -> str:
    """Write a row into each of the factory's tables, and enough predictions for several batches; return the key."""
    log = PredictionLog(platform)
    predictions = [
        Prediction(
            id=f"p{number:05d}", model=MODEL, version="2", variant="champion",
            event_time=START + timedelta(minutes=number), served_at=START + timedelta(minutes=number),
            features={"größe": number / 3, "text": "naïve\n", "none": None}, output={"label": "benign"}, latency_ms=1.5,
        )
        for number in range(1_200)
    ]  # fmt: skip
    log.append(predictions)
    log.append_labels([Label(one.id, MODEL, "malignant", START) for one in predictions[:700]])
    RouteStore(platform).put(Route(MODEL, (Variant("champion", "2", 100),), 0))
    signals = SignalStore(platform)
    end = START + timedelta(days=1)
    signals.record(Window(MODEL, START, end, "2", 500, ["drift"], {"why": "ü"}, "model_monitoring.a", end))
    assert signals.request_retraining(MODEL, START, "drift", {"k": 1})
    return ApiKeyStore(platform).create("shop", ["predict"])[0]
