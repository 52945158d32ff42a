"""Which runtime serves: the fastest one that answers as the estimator does, or the one that the user asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from include.inference.choice import Choice
from include.inference.choose import UnfaithfulRuntimeError, choose_runtime, compared
from include.inference.frames import mixed_frame, numeric_frame, rows_of
from include.inference.load import load_scorer
from include.inference.scorer import Row
from include.specs.training import Packaging
from include.store.packages import ModelPackage, save_package
from tests.unit.inference.tables import FIELDS, NUMBERS, fitted, manifest, mixed_rows, number_rows, strange_rows

xgboost = pytest.importorskip("xgboost")


def packaged(folder: Path, package: ModelPackage, rows: list[Row], **packaging: Any) -> Choice:
    save_package(folder, package)
    return choose_runtime(folder, package, rows, Packaging(**packaging))


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_fastest_faithful_runtime_serves_and_the_others_leave_nothing(tmp_path: Path) -> None:
    package = fitted(xgboost.XGBClassifier(n_estimators=20, n_jobs=1))
    rows = mixed_rows(200, seed=5)
    choice = packaged(tmp_path, package, rows)
    by_name = {candidate.runtime: candidate for candidate in choice.candidates}
    assert set(by_name) == {"sklearn", "onnx", "xgboost"}
    assert all(candidate.faithful for candidate in by_name.values())
    assert choice.runtime == min(by_name.values(), key=lambda candidate: candidate.one_ms).runtime == "onnx"
    assert files(tmp_path) == {"factory.json", "model.skops", "runtime.json", "encoder.json", "model.onnx"}
    assert Choice.load(tmp_path) == choice
    scorer = load_scorer(tmp_path, package.manifest)
    assert scorer.name == "onnx"
    expected = package.probabilities(mixed_frame(rows, FIELDS))
    np.testing.assert_allclose(scorer.score(rows), expected, atol=1e-6)


def test_what_no_runtime_takes_is_served_by_scikit_learn_and_says_why(tmp_path: Path) -> None:
    choice = packaged(tmp_path, fitted(KNeighborsClassifier(metric="canberra")), mixed_rows(50))
    assert choice.runtime == "sklearn"
    assert "KNeighborsClassifier" in choice.candidates[1].reason
    assert files(tmp_path) == {"factory.json", "model.skops", "runtime.json"}


def scaled_trees() -> tuple[ModelPackage, list[Row]]:
    """Return a model whose own scaling, in double precision, puts rows exactly on the trees' splits."""
    rng = np.random.default_rng(0)
    rows = [tuple(row) for row in np.round(rng.normal(100, 30, size=(2000, 6)), 1).tolist()]
    table = numeric_frame(rows, NUMBERS)
    target = (table["x0"] + table["x1"] > 200 + rng.normal(0, 20, 2000)).astype(int)
    pipeline = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=60, max_depth=6, n_jobs=1))
    return ModelPackage(manifest("binary", NUMBERS), pipeline.fit(table, target)), rows


def test_a_runtime_that_differs_on_too_many_rows_does_not_serve(tmp_path: Path) -> None:
    package, rows = scaled_trees()
    strict = packaged(tmp_path / "strict", package, rows, max_different_share=0, tolerance=1e-4)
    onnx = strict.candidates[1]
    assert onnx.share_different > 0
    assert onnx.largest_difference > 1e-3
    assert strict.runtime == "sklearn"
    tolerant = packaged(tmp_path / "tolerant", package, rows, max_different_share=onnx.share_different)
    assert tolerant.runtime == "onnx"


def test_a_user_may_ask_for_a_runtime(tmp_path: Path) -> None:
    package = fitted(xgboost.XGBClassifier(n_estimators=5, n_jobs=1))
    for wanted, file in (("xgboost", "model.ubj"), ("onnx", "model.onnx"), ("sklearn", "model.skops")):
        folder = tmp_path / wanted
        assert packaged(folder, package, mixed_rows(60), runtime=wanted).runtime == wanted
        assert file in files(folder)
        assert load_scorer(folder, package.manifest).name == wanted


def test_a_users_runtime_that_cannot_serve_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnfaithfulRuntimeError, match=r"LogisticRegression is no model of xgboost; set auto"):
        packaged(tmp_path, fitted(LogisticRegression(), scale=True), mixed_rows(50), runtime="xgboost")
    package, rows = scaled_trees()
    with pytest.raises(UnfaithfulRuntimeError, match=r"it answers differently on .*% of 2000 rows"):
        packaged(tmp_path, package, rows, runtime="onnx", max_different_share=0)


def test_every_difference_is_counted() -> None:
    expected = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.4, 0.6]])
    scores = expected.copy()
    scores[1] = [0.5 + 1e-8, 0.5 - 1e-8]  # half of the trees: whoever is undecided may be answered either way
    scores[2] = [0.55, 0.45]
    scores[3] = [np.nan, np.nan]
    found = compared("onnx", scores, expected, manifest("binary"), Packaging())
    assert (found.share_different, found.share_labels, found.faithful) == (0.5, 0.5, False)
    assert found.largest_difference is None, "there is none where an answer is no number"
    three = np.array([[0.4, 0.4, 0.2], [0.1, 0.8, 0.1]])
    assert (
        compared("onnx", three[:, [1, 0, 2]] + [1e-8, 0, 0], three, manifest("multiclass"), Packaging()).share_labels
        == 0.5
    )
    values = np.array([1000.0, 2000.0, 3000.0])
    near = compared("onnx", values + np.array([0.01, 0, 0]), values, manifest("regression"), Packaging())
    assert near.faithful
    assert near.share_labels is None
    assert near.largest_difference == pytest.approx(0.01 / values.std())


def test_rows_of_a_frame_are_those_that_made_it() -> None:
    rows = mixed_rows(60) + strange_rows()
    frame = mixed_frame(rows, FIELDS)
    pd.testing.assert_frame_equal(mixed_frame(rows_of(frame, FIELDS), FIELDS), frame)
    assert rows_of(frame.iloc[:0], FIELDS) == []


def test_a_forest_whose_trees_are_split_in_half_is_no_difference(tmp_path: Path) -> None:
    package = fitted(RandomForestClassifier(20, random_state=0), fields=NUMBERS)
    assert packaged(tmp_path, package, number_rows(500, seed=4)).runtime == "onnx"
