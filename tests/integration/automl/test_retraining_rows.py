"""Retraining on source and log, without times, through two generations: no model is judged on rows it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from include.features.prepared import Prepared
from include.registry.models import Change, Registry
from include.specs import Platform
from include.store.prediction_log import Label, Prediction, PredictionLog
from tests.integration.automl.conftest import Training

START = datetime(2026, 1, 5, tzinfo=UTC)
STEPS = ("snapshot", "validate", "prepare", "search", "evaluate", "report", "gate")


def table(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows)})
    return frame.assign(y=3 * frame["x"] + rng.normal(size=rows))


def serve(platform: Platform, model: str, rows: pd.DataFrame, week: int) -> None:
    """Write rows into the prediction log, with their labels."""
    log, begin = PredictionLog(platform), START + timedelta(weeks=week)
    times = [begin + timedelta(minutes=number) for number in range(len(rows))]
    ids = [f"{model}-{week}-{number}" for number in range(len(rows))]
    features = rows[["x", "z"]].to_dict(orient="records")
    log.append(
        [
            Prediction(name, model, "1", "champion", time, time, sent, {"label": 0.0}, 1.0)
            for name, time, sent in zip(ids, times, features, strict=True)
        ]
    )
    log.append_labels([Label(name, model, y, time) for name, y, time in zip(ids, rows["y"], times, strict=True)])


def run(training: Training) -> dict[str, object]:
    for step in STEPS:
        result = training.step(step)
        assert result.status == "done", (step, result.message)
    return result.values


def prepared(training: Training) -> Prepared:
    with training.folder.store.local(training.folder.path("prepare", "prepared")) as folder:
        return Prepared.load(Path(folder))


def promote(training: Training) -> None:
    registry, values = Registry(training.platform), training.folder.result("search").values
    with training.folder.store.local(training.folder.path("search", "package")) as folder:
        tags = {"factory.algorithm": values["algorithm"], "factory.parameters": values["parameters"]}
        version = registry.register(
            training.spec.name, Path(folder), training.run, values["mlflow_run"], tags, "one", "# card"
        )
    registry.promote(training.spec.name, version.number, Change("a release", "model_deployment.test"))


def test_held_out_rows_were_never_trained_on(train: Callable[..., Training], tmp_path: Path) -> None:
    table(400, 0).to_csv(tmp_path / "rows.csv", index=False)
    document = {
        "data": {"source": {"path": str(tmp_path / "rows.csv")}},
        "problem": {"type": "regression", "target": "y"},
        "search": {"budget": "20s", "max_trials": 1, "families": ["linear"], "folds": 2},
        "retraining": {"data": "both"},
        "gates": {"max_latency_ms": 500},
    }
    generation = train(document)
    run(generation)
    promote(generation)
    for number in (1, 2):
        champion = prepared(generation)
        serve(generation.platform, generation.spec.name, table(60, number), number)
        generation = train(document, generation.spec.name, f"model_retraining.r{number}", "model_retraining")
        gate = run(generation)
        candidate = prepared(generation)
        assert not set(champion.train["x"]) & set(candidate.test["x"])
        new = len(candidate.test) - len(champion.test)
        assert (new, len(candidate.train) - len(champion.train)) == (15, 45), "new rows are split like the others"
        (compared,) = [entry for entry in gate["gates"] if entry["name"] == "champion"]
        assert compared["evidence"]["left_out"] == 0 and compared["evidence"]["rows"] == len(candidate.test)
        assert compared["verdict"] == "pass"
        promote(generation)
