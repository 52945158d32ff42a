"""An ensemble answers as the weighted mean of its members, in scikit-learn and as one ONNX graph."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from include.automl.families import find_family
from include.features.plan import View, build_plan
from include.inference.ensemble import BlendClassifier, BlendRegressor, Plans, calibrated
from include.inference.export import export
from include.inference.runtimes.onnx import OnnxScorer
from include.specs.training import Features, Task
from include.store.packages import ModelPackage, save_package, untrusted_types
from tests.unit.inference.tables import FIELDS, manifest, mixed_frame, mixed_rows, targets

ROWS = mixed_rows(400)
FRAME = mixed_frame(ROWS, FIELDS)
KNOTS = ((0.05, 0.01), (0.4, 0.3), (0.41, 0.45), (0.9, 0.97))


def blended(task: Task, **calibration: Any) -> tuple[Pipeline, list[Any], list[Any]]:
    """Return an ensemble over two views of the rows, and its members' answers and weights."""
    from xgboost import XGBClassifier, XGBRegressor

    y = targets(ROWS, task)
    views: list[View] = ["trees", "scaled"]
    plans = [build_plan(FIELDS, Features(max_onehot=10), task, view).fit(FRAME, y) for view in views]
    matrices = [plan.transform(FRAME) for plan in plans]
    edges = np.cumsum([0, *(matrix.shape[1] for matrix in matrices)]).tolist()
    slices = list(pairwise(edges))
    if task == "regression":
        models: list[Any] = [XGBRegressor(n_estimators=20), Ridge(), Ridge(10.0)]
        places = [0, 1, 1]
    else:
        models = [
            XGBClassifier(n_estimators=20),
            LogisticRegression(max_iter=300),
            find_family("lightgbm").build({**find_family("lightgbm").defaults(task), "rounds": 20}, task, 0, 1),
            RandomForestClassifier(10, random_state=0),
        ]
        places = [0, 1, 0, 0]
    weights = np.arange(1, len(models) + 1) / np.arange(1, len(models) + 1).sum()
    for model, place in zip(models, places, strict=True):
        model.fit(matrices[place], y)
    taken = [slices[place] for place in places]
    if task == "regression":
        blend: Any = BlendRegressor(models, taken, weights.tolist(), edges[-1])
        answers = [model.predict(matrices[place]) for model, place in zip(models, places, strict=True)]
    else:
        classes = len(np.unique(y))
        blend = BlendClassifier(models, taken, weights.tolist(), edges[-1], classes, **calibration)
        answers = [model.predict_proba(matrices[place]) for model, place in zip(models, places, strict=True)]
    return Pipeline([("features", Plans(plans)), ("model", blend)]), answers, weights.tolist()


def mean(answers: list[Any], weights: list[Any]) -> Any:
    return sum(weight * np.asarray(answer, dtype=float) for answer, weight in zip(answers, weights, strict=True))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_are_the_weighted_mean_of_the_members(task: Task) -> None:
    pipeline, answers, weights = blended(task)
    np.testing.assert_allclose(pipeline.predict_proba(FRAME), mean(answers, weights), atol=1e-6)
    np.testing.assert_array_equal(pipeline.predict(FRAME), mean(answers, weights).argmax(axis=1))


def test_values_are_the_weighted_mean_of_the_members() -> None:
    pipeline, answers, weights = blended("regression")
    np.testing.assert_allclose(pipeline.predict(FRAME), mean(answers, weights), atol=1e-5)


@pytest.mark.parametrize(
    ("task", "calibration"),
    [
        ("binary", {}),
        ("binary", {"temperature": 1.7}),
        ("binary", {"knots": KNOTS}),
        ("multiclass", {"temperature": 0.6}),
        ("regression", {}),
    ],
)
def test_one_graph_answers_as_the_ensemble(tmp_path: Path, task: Task, calibration: dict[str, Any]) -> None:
    pipeline, answers, weights = blended(task, **calibration)
    described = manifest(task)
    plans, blend = pipeline.named_steps["features"], pipeline.named_steps["model"]
    export("onnx", blend, plans.encoding([field.name for field in FIELDS]), described, tmp_path)
    scorer = OnnxScorer.open(tmp_path, described)
    expected = pipeline.predict(FRAME) if task == "regression" else pipeline.predict_proba(FRAME)
    if calibration:
        whole = {"temperature": 1.0, **calibration}
        np.testing.assert_allclose(expected, calibrated(mean(answers, weights), **whole), atol=1e-6)
    np.testing.assert_allclose(scorer.score(ROWS), expected, atol=2e-4)
    ones = np.array([scorer.score_one(row) for row in ROWS[:20]])
    np.testing.assert_allclose(ones[:, 0] if task == "regression" else ones, expected[:20], atol=2e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_what_members_learnt_of_weighted_classes_is_undone_in_the_graph_too(tmp_path: Path, task: Task) -> None:
    plain, answers, weights = blended(task)
    factors = {
        "binary": [[1.9, 0.1], None, [0.2, 1.8], None],
        "multiclass": [[0.1, 1.0, 9.0], None, None, [2.0, 1.0, 0.5]],
    }
    plans, blend = plain.named_steps["features"], plain.named_steps["model"].set_params(factors=factors[task])
    scaled = [
        answer if by is None else answer * by / (answer * by).sum(axis=1, keepdims=True)
        for answer, by in zip(answers, factors[task], strict=True)
    ]
    np.testing.assert_allclose(plain.predict_proba(FRAME), mean(scaled, weights), atol=1e-6)
    described = manifest(task)
    export("onnx", blend, plans.encoding([field.name for field in FIELDS]), described, tmp_path)
    np.testing.assert_allclose(OnnxScorer.open(tmp_path, described).score(ROWS), mean(scaled, weights), atol=2e-4)


def test_an_ensemble_that_was_saved_without_factors_answers_as_it_did() -> None:
    pipeline, answers, weights = blended("binary")
    del pipeline.named_steps["model"].factors
    np.testing.assert_allclose(pipeline.predict_proba(FRAME), mean(answers, weights), atol=1e-6)


def test_a_member_that_has_not_seen_a_class_gives_it_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    whole, part = LogisticRegression().fit(x, np.arange(200) % 3), LogisticRegression().fit(x, np.arange(200) % 2)
    blend = BlendClassifier([whole, part], [(0, 2), (0, 2)], [0.5, 0.5], 2, 3, [None, [0, 2]])
    expected = 0.5 * whole.predict_proba(x)
    expected[:, [0, 2]] += 0.5 * part.predict_proba(x)
    np.testing.assert_allclose(blend.predict_proba(x), expected)

    from include.inference.encoding import identity
    from include.store.packages import Field

    fields = (Field(name="a", type="number"), Field(name="b", type="number"))
    described = manifest("multiclass", fields)
    encoding = identity(fields)
    assert encoding is not None
    export("onnx", blend, encoding, described, tmp_path)
    rows = [tuple(map(float, row)) for row in x]
    np.testing.assert_allclose(OnnxScorer.open(tmp_path, described).score(rows), expected, atol=1e-5)


def test_it_is_saved_without_pickle_and_comes_back_equal(tmp_path: Path) -> None:
    import skops.io

    pipeline, _, _ = blended("binary", temperature=1.3)
    members = pipeline.named_steps["model"].members
    members[2] = find_family("lightgbm").for_serving(members[2])
    save_package(tmp_path, ModelPackage(manifest("binary"), pipeline))
    file = tmp_path / "model.skops"
    assert untrusted_types(file) == []
    again = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    np.testing.assert_array_equal(again.predict_proba(FRAME), pipeline.predict_proba(FRAME))
    assert "include.inference.ensemble" in sys.modules
