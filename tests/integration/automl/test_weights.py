"""Rows that weigh differently, from the spec to the gates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.evaluation.metrics import metric
from include.evaluation.outputs import read_outputs
from include.features.prepared import Prepared
from include.store.packages import load_package
from tests.integration.automl.conftest import Training

ROWS = 2400
"""So many that the interval of an accuracy is narrow."""


def half_wrong() -> pd.DataFrame:
    """Return rows of which each second one has the wrong class, and hardly any weight."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, 3))
    wrong = np.arange(ROWS) % 2
    truth = (values[:, 0] + 0.3 * rng.normal(size=ROWS) > 0).astype(int)
    weight = np.where(wrong, 1e-4, rng.uniform(1, 3, size=ROWS))
    return pd.DataFrame(values, columns=["a", "b", "c"]).assign(weight=weight, y=np.where(wrong, 1 - truth, truth))


def test_what_hardly_counts_decides_nothing(train: Callable[..., Training]) -> None:
    run = train(
        {
            "problem": {"type": "binary", "target": "y", "positive": 1, "metric": "accuracy", "weight": "weight"},
            "search": {"budget": "6s", "max_trials": 2, "families": ["linear", "lightgbm"], "folds": 3},
            "gates": {"thresholds": [{"metric": "accuracy", "min": 0.8}], "max_latency_ms": 500},
        }
    )
    run.prepare(half_wrong())
    results = {name: run.step(name) for name in ("search", "evaluate", "report", "gate")}
    assert [one.status for one in results.values()] == ["done"] * 4, [one.message for one in results.values()]
    assert results["search"].values["cv"]["mean"] > 0.8
    found = results["evaluate"].values["metrics"]["accuracy"]
    assert 0.8 < found["low"] < found["value"] < found["high"]
    with run.folder.store.local(run.folder.path("search", "package")) as folder:
        manifest = load_package(Path(folder)).manifest
    assert "weight" not in [field.name for field in manifest.features]
    with run.folder.store.local(run.folder.path("prepare", "prepared")) as folder:
        prepared = Prepared.load(Path(folder))
    with run.folder.store.local(run.folder.path("evaluate", "predictions.parquet")) as file:
        _, outputs = read_outputs(Path(file))
    accuracy, target = metric("accuracy"), prepared.test_target
    assert found["value"] == pytest.approx(accuracy.score(target, outputs, manifest.threshold, prepared.test_weights))
    assert accuracy.score(target, outputs, manifest.threshold) < 0.65
