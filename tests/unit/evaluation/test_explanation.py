"""Partial dependence, SHAP values and lift say what is known of a model; the report's page shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from include.automl.page import extended, page
from include.evaluation.dependence import LEVELS, POINTS, partial_dependence
from include.evaluation.explain import permutation_importance, shap_importance
from include.evaluation.intervals import Scored
from include.evaluation.plots import lift_points, write_explanation, write_plots
from include.evaluation.report_page import evaluation_sections
from include.features.prepared import Prepared
from include.inference.frames import rows_of
from include.inference.scorer import Row
from include.store.packages import ModelPackage, save_package


class Known:
    """Answers 3 a + the length of b, and one more from 2026 on; missing values count nothing."""

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        later = (frame["day"] >= pd.Timestamp("2026-01-01", tz="UTC")).to_numpy()
        return (3 * frame["a"].fillna(0) + frame["b"].map(len, na_action="ignore").fillna(0)).to_numpy() + later


def table(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.date_range("2025-01-01", "2026-12-31", periods=rows, tz="UTC")
    levels = np.array(["x", "yy", "zzz", None], dtype=object)
    return pd.DataFrame({"a": rng.normal(size=rows), "b": levels[rng.integers(4, size=rows)], "day": days, "one": 1.0})


def test_dependence_is_what_the_model_does() -> None:
    frame = table()
    number, category, time = partial_dependence(Known(), frame, ["a", "b", "day", "one"], rows=300)
    assert (number["kind"], category["kind"], time["kind"]) == ("number", "category", "time")
    assert len(number["points"]) == POINTS and number["points"] == sorted(number["points"])
    slopes = np.diff([answer[0] for answer in number["answers"]]) / np.diff(number["points"])
    np.testing.assert_allclose(slopes, 3.0)
    assert -2.6 < number["points"][0] < -1.5 and 1.5 < number["points"][-1] < 2.6  # the ends' few rows are left out
    answers = dict(zip(category["points"], [answer[0] for answer in category["answers"]], strict=True))
    assert set(answers) == {"x", "yy", "zzz"} and answers["zzz"] - answers["x"] == pytest.approx(2.0)
    assert time["answers"][-1][0] - time["answers"][0][0] == pytest.approx(1.0)
    assert all(isinstance(point, str) and point.startswith("202") for point in time["points"])


def test_dependence_is_bounded_and_repeatable() -> None:
    frame = table().assign(b=[f"level {row}" for row in range(300)])
    first = partial_dependence(Known(), frame, ["b", "a"], rows=20, seconds=0)
    assert first == partial_dependence(Known(), frame, ["b", "a"], rows=20, seconds=0)
    assert [found["feature"] for found in first] == ["b"] and len(first[0]["points"]) == LEVELS


def shap_of(package: ModelPackage, rows: list[Row], folder: Path) -> dict[str, Any]:
    save_package(folder, package)
    return shap_importance(folder, package.manifest, rows)


def test_shap_values_rank_as_the_model_was_made(package: ModelPackage, prepared: Prepared, tmp_path: Path) -> None:
    found = shap_of(package, rows_of(prepared.test, prepared.fields), tmp_path)
    assert [entry["feature"] for entry in found["features"]] == ["fee", "plan", "noise"]
    assert found["space"] == "logit" and found["features"][0]["importance"] > 5 * found["features"][2]["importance"]


def test_a_model_without_an_explanation_says_so(package: ModelPackage, prepared: Prepared, tmp_path: Path) -> None:
    model = KNeighborsClassifier().fit(package.estimator[0].transform(prepared.test), prepared.test_target)
    other = ModelPackage(package.manifest, Pipeline([("features", package.estimator[0]), ("model", model)]))
    assert "KNeighbors" in shap_of(other, rows_of(prepared.test, prepared.fields), tmp_path)["reason"]


def test_lift_is_the_share_of_positives_against_that_of_all() -> None:
    target = np.array([0, 0, 0, 0, 0, 0, 1, 1, 0, 1])
    shares, lift = lift_points(target, np.arange(10) / 10)
    np.testing.assert_allclose(shares[[0, 1, 9]], [0.1, 0.2, 1.0])
    np.testing.assert_allclose(lift[[0, 1, 3, 9]], [1 / 0.3, 0.5 / 0.3, 0.75 / 0.3, 1.0])


@pytest.mark.parametrize("explained", [True, False])
def test_the_page_shows_what_there_is(
    package: ModelPackage, prepared: Prepared, tmp_path: Path, explained: bool
) -> None:
    estimator, rows = package.estimator, rows_of(prepared.test, prepared.fields)
    scored = Scored(estimator.predict_proba(prepared.test)[:, 1])
    importance = permutation_importance(estimator, prepared.test, prepared.test_target, "roc_auc", seconds=0)
    write_plots(tmp_path, prepared.test_target, scored, prepared.classes, importance)
    shap = shap_of(package, rows, tmp_path / "package") if explained else {"reason": "there are none for <this>"}
    dependence = partial_dependence(estimator, prepared.test, ["fee", "plan"]) if explained else []
    write_explanation(tmp_path, shap, dependence, prepared.classes)
    assert (tmp_path / "shap.png").is_file() is (tmp_path / "dependence_2.png").is_file() is explained
    values = {
        "metrics": {"roc_auc": {"value": 0.8, "low": 0.75, "high": None}},
        "latency_ms": {"p50": 0.1, "p95": 0.2},
        "size_mb": 1.5,
    }
    html = extended(page("t", "l", []), evaluation_sections(values, shap, dependence, tmp_path))
    assert "0.75 to not defined" in html and "0.1 and 0.2 ms" in html and "Lift" in html and "Confusion" in html
    assert html.count("<img") == (9 if explained else 6)
    assert ("none for &lt;this&gt;" in html) is not explained
    assert ("Partial dependence" in html) is explained
    assert not re.search(r'(src|href)="(?!data:)', html)


def test_several_classes_have_a_line_each(prepared: Prepared, package: ModelPackage, tmp_path: Path) -> None:
    target = np.digitize(prepared.train["fee"], [-0.5, 0.5])
    forest = RandomForestClassifier(10, random_state=0).fit(package.estimator[0].transform(prepared.train), target)
    pipeline = Pipeline([("features", package.estimator[0]), ("model", forest)])
    (found,) = partial_dependence(pipeline, prepared.test, ["fee"])
    answers = np.array(found["answers"])
    assert answers.shape == (POINTS, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1.0)
    assert answers[0].argmax() == 0 and answers[-1].argmax() == 2
    write_explanation(tmp_path, {"reason": ""}, [found], ("low", "middle", "high"))
    assert (tmp_path / "dependence_1.png").stat().st_size > 5000
