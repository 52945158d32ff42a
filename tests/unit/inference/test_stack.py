"""A stack answers by the formula that it names: in scikit-learn, as one ONNX graph, saved, compiled and explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from include.automl.ensemble.combination import Mean, Stack
from include.automl.families import find_family
from include.inference.encoding import identity
from include.inference.ensemble import BlendClassifier, BlendRegressor, calibrated
from include.inference.explain import load_explainer
from include.inference.export import export
from include.inference.load import load_scorer
from include.inference.optimise import compiled
from include.inference.runtimes.onnx import OnnxScorer
from include.inference.stack import LEAST, PoolClassifier, StackRegressor
from include.specs.training import Task
from include.store.packages import Field, ModelPackage, load_package, save_package, untrusted_types
from tests.unit.inference.tables import FIELDS, manifest
from tests.unit.inference.test_blended import FRAME, KNOTS, ROWS, blended

WEIGHTS = {"binary": [0.7, 0.2, 0.1, 0.6], "multiclass": [0.1, 0.3, 0.9, 0.4], "regression": [0.9, 0.1, 0.5]}
BIASES = {"binary": [0.0, -0.8], "multiclass": [0.0, 0.5, -0.7]}
INTERCEPT = -3.5
FACTORS = {
    "binary": [[1.9, 0.1], None, [0.2, 1.8], None],
    "multiclass": [[0.1, 1.0, 9.0], None, None, [2.0, 1.0, 0.5]],
}


def stacked(task: Task, **more: Any) -> tuple[Pipeline, list[Any]]:
    """Return a stack over two views of the rows, and its members' answers."""
    pipeline, answers, _ = blended(task)
    blend = pipeline.named_steps["model"]
    parts = (blend.members, blend.slices, WEIGHTS[task], blend.n_features)
    if task == "regression":
        model: Any = StackRegressor(*parts, INTERCEPT)
    else:
        model = PoolClassifier(*parts, BIASES[task], blend.n_classes, **more)
    return Pipeline([("features", pipeline.named_steps["features"]), ("model", model)]), answers


def expected(task: Task, answers: list[Any]) -> np.ndarray:
    """Return what the formula gives, step by step."""
    if task == "regression":
        return sum(weight * answer for weight, answer in zip(WEIGHTS[task], answers, strict=True)) + INTERCEPT
    logits = sum(w * np.log(np.clip(p, LEAST, None)) for w, p in zip(WEIGHTS[task], answers, strict=True))
    return softmax(logits + np.array(BIASES[task]), axis=1)


def exported(pipeline: Pipeline, task: Task, folder: Path) -> OnnxScorer:
    described = manifest(task)
    plans, model = pipeline.named_steps["features"], pipeline.named_steps["model"]
    export("onnx", model, plans.encoding([field.name for field in FIELDS]), described, folder)
    return OnnxScorer.open(folder, described)


@pytest.mark.parametrize(
    ("task", "calibration"),
    [
        ("binary", {}),
        ("binary", {"temperature": 1.7}),
        ("binary", {"knots": KNOTS}),
        ("multiclass", {}),
        ("multiclass", {"temperature": 0.6}),
        ("regression", {}),
    ],
)
def test_it_answers_by_its_formula_and_one_graph_does_too(
    tmp_path: Path, task: Task, calibration: dict[str, Any]
) -> None:
    pipeline, answers = stacked(task, **calibration)
    found = pipeline.predict(FRAME) if task == "regression" else pipeline.predict_proba(FRAME)
    whole = expected(task, answers)
    if calibration:
        whole = calibrated(whole, **{"temperature": 1.0, **calibration})
    np.testing.assert_allclose(found, whole, atol=1e-5)
    scorer = exported(pipeline, task, tmp_path)
    np.testing.assert_allclose(scorer.score(ROWS), found, atol=2e-4)
    ones = np.array([scorer.score_one(row) for row in ROWS[:20]])
    np.testing.assert_allclose(ones[:, 0] if task == "regression" else ones, found[:20], atol=2e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_what_members_learnt_of_weighted_classes_is_undone_before(tmp_path: Path, task: Task) -> None:
    pipeline, answers = stacked(task, factors=FACTORS[task])
    scaled = [
        answer if by is None else answer * by / (answer * by).sum(axis=1, keepdims=True)
        for answer, by in zip(answers, FACTORS[task], strict=True)
    ]
    np.testing.assert_allclose(pipeline.predict_proba(FRAME), expected(task, scaled), atol=1e-5)
    np.testing.assert_allclose(exported(pipeline, task, tmp_path).score(ROWS), pipeline.predict_proba(FRAME), atol=2e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_is_judged_on_out_of_fold_predictions_is_what_answers(task: Task) -> None:
    pipeline, answers = stacked(task)
    found = pipeline.predict(FRAME) if task == "regression" else pipeline.predict_proba(FRAME)
    stack = Stack(tuple(WEIGHTS[task]), (INTERCEPT,) if task == "regression" else tuple(BIASES[task]))
    outputs = [answer[:, 1] if task == "binary" else answer for answer in answers]
    np.testing.assert_allclose(stack.apply(outputs), found[:, 1] if task == "binary" else found, atol=1e-5)


def test_the_parts_of_a_member_share_its_weight() -> None:
    """Two fold models at half the weight are the geometric mean of both, which is what the weight was fitted to."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=200) > 0).astype(int)
    one, other = LogisticRegression().fit(x[:100], y[:100]), LogisticRegression().fit(x[100:], y[100:])
    pool = PoolClassifier([one, other], [(0, 2)] * 2, [0.6, 0.6], 2, [0.0, 0.0])
    logits = 1.2 * (one.decision_function(x) + other.decision_function(x)) / 2
    np.testing.assert_allclose(pool.predict_proba(x)[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-6)


# Classes that a member does not know


def partly(
    present: list[list[int] | None], weights: list[float]
) -> tuple[PoolClassifier, np.ndarray, list[np.ndarray]]:
    """Return a pool of three classes over members of those that they know, rows, and what each member answers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    target = np.digitize(x[:, 0] + 0.5 * rng.normal(size=300), [-0.5, 0.5])
    members = []
    for known in present:
        mine = np.isin(target, known if known is not None else [0, 1, 2])
        members.append(LogisticRegression().fit(x[mine], np.unique(target[mine], return_inverse=True)[1]))
    pool = PoolClassifier(members, [(0, 2)] * len(members), weights, 2, [0.0, 0.3, -0.2], 3, present)
    return pool, x, [member.predict_proba(x) for member in members]


def in_one_graph(pool: PoolClassifier, x: np.ndarray, folder: Path) -> np.ndarray:
    fields = (Field(name="a", type="number"), Field(name="b", type="number"))
    described, encoding = manifest("multiclass", fields), identity(fields)
    assert encoding is not None
    export("onnx", pool, encoding, described, folder)
    return OnnxScorer.open(folder, described).score([tuple(map(float, row)) for row in x])


def test_a_member_that_has_not_seen_a_class_says_nothing_of_it(tmp_path: Path) -> None:
    pool, x, (whole, part) = partly([None, [0, 2]], [0.8, 0.4])
    logs = np.log(np.clip(whole, LEAST, None)), np.log(np.clip(part, LEAST, None))
    logits = np.column_stack(
        [0.8 * logs[0][:, 0] + 0.4 * logs[1][:, 0], 1.2 * logs[0][:, 1], 0.8 * logs[0][:, 2] + 0.4 * logs[1][:, 1]]
    )
    wanted = softmax(logits + np.array([0.0, 0.3, -0.2]), axis=1)
    np.testing.assert_allclose(pool.predict_proba(x), wanted, atol=1e-6)
    np.testing.assert_allclose(in_one_graph(pool, x, tmp_path), wanted, atol=1e-5)
    likely = whole[:, 1] > 0.5
    assert pool.predict_proba(x)[likely, 1].min() > 0.3, "it keeps what the one that knows it gives it"


def test_what_no_member_knows_is_next_to_impossible(tmp_path: Path) -> None:
    pool, x, _ = partly([[0, 2], [0, 2]], [0.8, 0.4])
    found = pool.predict_proba(x)
    assert np.isfinite(found).all() and 0 < found[:, 1].max() < 1e-4
    np.testing.assert_allclose(in_one_graph(pool, x, tmp_path), found, atol=1e-5)


def test_one_member_that_excludes_a_class_does_not_veto_it() -> None:
    class Sure:
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.tile([1.0, 0.0], (len(x), 1))

    class Knows:
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.tile([0.001, 0.999], (len(x), 1))

    pool = PoolClassifier([Sure(), Knows(), Knows()], [(0, 1)] * 3, [0.2, 0.4, 0.4], 1, [0.0, 0.0])
    assert pool.predict_proba(np.zeros((2, 1)))[:, 1].min() > 0.9


# Kept, compiled, explained


def servable(task: Task) -> Pipeline:
    """Return a stack of estimators that can be saved."""
    pipeline, _ = stacked(task)
    members = pipeline.named_steps["model"].members
    if task != "regression":
        members[2] = find_family("lightgbm").for_serving(members[2])
    return pipeline


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_it_is_saved_without_pickle_and_comes_back_equal(tmp_path: Path, task: Task) -> None:
    pipeline = servable(task)
    save_package(tmp_path, ModelPackage(manifest(task), pipeline))
    assert untrusted_types(tmp_path / "model.skops") == []
    again = load_package(tmp_path).estimator
    ask = "predict" if task == "regression" else "predict_proba"
    np.testing.assert_array_equal(getattr(again, ask)(FRAME), getattr(pipeline, ask)(FRAME))
    assert type(again.named_steps["model"]) is type(pipeline.named_steps["model"])


def test_packages_of_before_hold_what_a_mean_holds_now() -> None:
    """A package is loaded by setting what it was saved with: an ensemble that needs more could not answer."""
    blend = BlendClassifier([], [], [], 0)
    assert set(vars(blend)) == {
        "members", "slices", "weights", "n_features", "n_classes", "present", "temperature", "knots", "factors",
    }  # fmt: skip
    assert set(vars(BlendRegressor([], [], [], 0))) == {"members", "slices", "weights", "n_features"}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2)).astype(np.float32)
    whole, part = LogisticRegression().fit(x, np.arange(100) % 3), LogisticRegression().fit(x, np.arange(100) % 2)
    old = BlendClassifier.__new__(BlendClassifier)
    old.__setstate__(
        {
            "members": [whole, part], "slices": [(0, 2), (0, 2)], "weights": [0.25, 0.75], "n_features": 2,
            "n_classes": 3, "present": [None, [0, 2]], "temperature": 1.0, "knots": [],
        }
    )  # fmt: skip
    wanted = Mean((0.25, 0.75)).apply(
        [whole.predict_proba(x), np.insert(part.predict_proba(x), 1, 0.0, axis=1)],
    )
    np.testing.assert_allclose(old.predict_proba(x), wanted)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_its_compiled_graph_answers_as_it_does(tmp_path: Path, task: Task) -> None:
    pipeline, _ = stacked(task)
    runtime = compiled(ModelPackage(manifest(task), pipeline), ROWS, tmp_path, 0)
    assert runtime == "onnx"
    found = OnnxScorer.open(tmp_path, manifest(task)).score(ROWS)
    wanted = pipeline.predict(FRAME) if task == "regression" else pipeline.predict_proba(FRAME)
    np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_is_explained_and_the_parts_add_up(tmp_path: Path, task: Task) -> None:
    fields = tuple(field.model_copy(update={"typical": field.example}) for field in FIELDS)
    described, rows = manifest(task, fields), ROWS[:8]
    save_package(tmp_path, ModelPackage(described, servable(task)))
    explained = load_explainer(tmp_path, described).explain(rows)
    scores = load_scorer(tmp_path, described).score(rows)
    wanted = scores[:, None] if scores.ndim == 1 else scores[:, 1:] if task == "binary" else scores
    np.testing.assert_allclose(explained.base + explained.contributions.sum(axis=1), wanted, atol=1e-9)
    assert np.abs(explained.contributions).max() > 0.01
