"""Importance, latency, size, plots, predictions on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from include.automl.bench import outputs_of
from include.evaluation.explain import permutation_importance
from include.evaluation.intervals import Scored
from include.evaluation.latency import single_row_latency, size_mb
from include.evaluation.outputs import read_outputs, write_outputs
from include.evaluation.plots import calibration_points, write_plots
from include.features.prepared import Prepared
from include.inference.choice import RUNTIME_FILE
from include.inference.frames import rows_of
from include.inference.runtimes.sklearn import SklearnScorer
from include.store.packages import ESTIMATOR, ModelPackage


def test_the_column_that_decides_comes_first_and_noise_counts_nothing(
    package: ModelPackage, prepared: Prepared
) -> None:
    for name in ("roc_auc", "log_loss"):
        found = permutation_importance(package.estimator, prepared.test, prepared.test_target, name)
        assert [entry["feature"] for entry in found] == ["fee", "plan", "noise"]
        assert found[0]["importance"] > 0.1 and abs(found[2]["importance"]) < 0.02


def test_importance_is_bounded_in_rows_and_repeatable(package: ModelPackage, prepared: Prepared) -> None:
    first, second = (
        permutation_importance(package.estimator, prepared.test, prepared.test_target, "roc_auc", rows=50, seconds=0)
        for _ in range(2)
    )
    assert first == second
    assert all(entry["std"] == 0 for entry in first)  # one round of shuffles


def test_importance_is_nothing_where_the_metric_is_not_defined(package: ModelPackage, prepared: Prepared) -> None:
    found = permutation_importance(package.estimator, prepared.test, np.zeros(len(prepared.test), dtype=int), "roc_auc")
    assert all(entry["importance"] == 0 for entry in found)


def test_latency_and_size_are_measured(package: ModelPackage, prepared: Prepared, tmp_path: Path) -> None:
    rows = rows_of(prepared.test.head(3).assign(plan=[None, "a", "new"]), prepared.fields)
    found = single_row_latency(SklearnScorer(package.manifest, package.estimator), rows)
    assert 0 < found["p50"] <= found["p95"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"x" * 2**19)
    assert size_mb(tmp_path) == 0.5
    (tmp_path / ESTIMATOR).write_bytes(b"x" * 2**19)
    assert size_mb(tmp_path) == 1
    (tmp_path / RUNTIME_FILE).write_text('{"runtime": "onnx"}')
    assert size_mb(tmp_path) == pytest.approx(0.5, abs=1e-4), "serving does not read the estimator"


@pytest.mark.parametrize("classes", [None, 2, 3])
def test_predictions_come_back_in_their_shape(classes: int | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.random((20, 3)) if classes == 3 else rng.random(20)
    target = rng.integers(2, size=20)
    write_outputs(tmp_path / "x.parquet", target, outputs, row=np.arange(20))
    table, back = read_outputs(tmp_path / "x.parquet")
    np.testing.assert_array_equal(back, outputs)
    np.testing.assert_array_equal(table["target"], target)
    assert table["row"].tolist() == list(range(20))


def test_calibration_points_are_means_of_equally_many_rows() -> None:
    probabilities = np.linspace(0, 1, 100)
    points = calibration_points((probabilities > 0.5).astype(int), probabilities)
    assert [count for _, _, count in points] == [10] * 10
    assert points[0][0] == pytest.approx(probabilities[:10].mean()) and points[0][1] == 0 and points[-1][1] == 1


def test_plots_fit_the_task(package: ModelPackage, prepared: Prepared, tmp_path: Path) -> None:
    importance = [{"feature": "fee", "importance": 0.2, "std": 0.01}]
    rng = np.random.default_rng(0)
    binary = Scored(outputs_of(package.estimator, prepared.test))
    several, target = Scored(rng.dirichlet([1, 1, 1], 30)), rng.integers(3, size=30)
    write_plots(tmp_path / "binary", prepared.test_target, binary, prepared.classes, importance)
    write_plots(tmp_path / "several", target, several, ("a", "b", "c"), importance)
    write_plots(tmp_path / "numbers", rng.normal(size=30), Scored(rng.normal(size=30)), None, importance)
    names = {folder.name: {file.stem for file in folder.iterdir()} for folder in tmp_path.iterdir()}
    assert names == {
        "binary": {"importance", "confusion", "roc", "precision_recall", "calibration", "lift"},
        "several": {"importance", "confusion"},
        "numbers": {"importance", "predicted", "residuals"},
    }
