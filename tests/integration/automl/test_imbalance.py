"""A rare class, from the spec to the label that a caller gets."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.evaluation.metrics import labels
from include.evaluation.outputs import read_outputs
from include.features.prepared import Prepared
from include.inference.export import EXPORTERS, divided, export, takes
from include.inference.frames import rows_of
from include.inference.runtimes import find_runtime
from include.serving.models.loaded import load_model
from include.store.packages import load_package
from tests.integration.automl.conftest import Training


def rare(rows: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 3))
    odds = 1.5 * values[:, 0] - 3.2
    return pd.DataFrame(values, columns=list("abc")).assign(y=(rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int))


@pytest.mark.parametrize("ensemble", [True, False])
def test_the_tuned_threshold_gives_one_label_wherever_the_model_answers(
    train: Callable[..., Training], ensemble: bool
) -> None:
    run = train(
        {
            "problem": {"type": "binary", "target": "y", "positive": 1, "metric": "f1", "imbalance": "balanced"},
            "search": {
                "budget": "6s",
                "max_trials": 2,
                "families": ["linear", "lightgbm"],
                "folds": 3,
                "ensemble": ensemble,
            },
        }
    )
    run.prepare(rare())
    search, evaluate = run.step("search"), run.step("evaluate")
    assert (search.status, evaluate.status) == ("done", "done"), (search.message, evaluate.message)
    threshold = search.values["threshold"]
    assert 0.05 < threshold < 0.45, "probabilities of a rare class are low"
    with run.folder.store.local(run.folder.path("prepare", "prepared")) as folder:
        prepared = Prepared.load(Path(folder))
    with run.folder.store.local(run.folder.path("evaluate", "predictions.parquet")) as file:
        _, outputs = read_outputs(Path(file))
    assert outputs.mean() == pytest.approx(prepared.test_target.mean(), abs=0.06)
    codes = labels(outputs, threshold)
    assert 0 < codes.mean() < 0.4 and (codes != labels(outputs)).any()
    clear = np.abs(outputs - threshold) > 1e-4
    rows = rows_of(prepared.test, prepared.fields)
    with run.folder.store.local(run.folder.path("search", "package")) as folder:
        package = load_package(Path(folder))
        served = load_model(run.spec.name, "1", Path(folder))
        answers = {
            "server": [one["label"] for one in served.predict(rows)],
            "server, one by one": [served.predict_one(row)["label"] for row in rows],
            "estimator": [one["label"] for one in package.predict(prepared.test)],
        }
    encoding, model = divided(package)
    for runtime in (name for name in EXPORTERS if takes(name, package)):
        target = Path(run.platform.home) / runtime
        target.mkdir()
        export(runtime, model, encoding, package.manifest, target)
        scores = find_runtime(runtime).open(target, package.manifest).score(rows)
        answers[runtime] = labels(scores[:, 1], threshold).tolist()
    assert "onnx" in answers and package.manifest.threshold == threshold and math.isfinite(threshold)
    for name, found in answers.items():
        np.testing.assert_array_equal(np.array(found)[clear], codes[clear], err_msg=name)
