"""Features made of two columns: named for a person, and the same bit for bit when a row is served."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from include.features.generated import Generated, pairs_of
from include.features.plan import FeaturePlan, View, build_plan
from include.inference.arithmetic import combined, combined_one
from include.inference.encoder import FEW, Encoder
from include.inference.encoding import Encoding
from include.inference.explain import explainer_of
from include.inference.frames import mixed_frame
from include.specs.training import Features, Task
from include.store.packages import Field, ModelPackage, load_package, save_package
from tests.unit.inference.tables import FIELDS, START, manifest, mixed_rows, strange_rows, targets, timezone_of

ALL = (*FIELDS, Field(name="left", type="datetime"))
MADE = (
    Generated("ratio", "fee", "logins"),
    Generated("difference", "fee", "logins"),
    Generated("product", "fee", "fee"),
    Generated("product", "fee", "logins"),
    Generated("days", "left", "seen"),
    Generated("pair", "plan", "city"),
    Generated("pair", "vip", "plan"),
)
NAMES = ["fee / logins", "fee - logins", "fee²", "fee × logins", "days from seen to left", "plan & city", "vip & plan"]
FLOATS = st.floats(-3.4e38, 3.4e38) | st.sampled_from([0.0, -0.0, float("nan"), 1e-300, 3.4028234663852886e38])


def rows(count: int, seed: int = 0) -> list[tuple[Any, ...]]:
    return [(*row, other[5]) for row, other in zip(mixed_rows(count, seed), mixed_rows(count, seed + 9), strict=True)]


def strange() -> list[tuple[Any, ...]]:
    times = [None, datetime(1678, 1, 1, tzinfo=UTC), datetime(2261, 12, 31, tzinfo=timezone_of(2)), START, None]
    return [(*row, time) for row, time in zip(strange_rows(), times, strict=True)]


def plan(view: View, task: Task = "binary") -> FeaturePlan:
    found = rows(300)
    unfitted = build_plan(ALL, Features(), task, view, MADE)
    return unfitted.fit(mixed_frame(found, ALL), targets([row[:6] for row in found], task))


def test_names_are_readable_and_descriptions_are_json() -> None:
    assert [item.name for item in MADE] == NAMES
    assert [Generated(**json.loads(json.dumps(dataclasses.asdict(item)))) for item in MADE] == list(MADE)
    names = list(plan("trees").get_feature_names_out())
    assert set(NAMES[:5]) <= set(names)
    assert any(name.startswith("plan & city (") for name in names)


@pytest.mark.parametrize("view", ["trees", "scaled"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_document_gives_the_same_bit_for_bit(task: Task, view: View) -> None:
    fitted = plan(view, task)
    encoding = fitted.encoding([field.name for field in ALL])
    encoder = Encoder(Encoding.model_validate_json(encoding.model_dump_json()), ALL)
    asked = rows(200, seed=1) + strange()
    expected = fitted.transform(mixed_frame(asked, ALL))
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(encoder.encode(asked), expected)
    np.testing.assert_array_equal(np.vstack([encoder.encode_one(row) for row in asked]), expected)
    np.testing.assert_array_equal(encoder.encode(asked[-FEW:]), expected[-FEW:])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["ratio", "difference", "product"]), FLOATS, FLOATS, st.sampled_from([(0.0, 0.0), (37.25, -1e9)])
)
def test_one_row_is_what_many_are(operation: Any, left: float, right: float, shift: tuple[float, float]) -> None:
    many = combined(operation, np.array([left]), np.array([right]), shift)[0]
    np.testing.assert_array_equal(combined_one(operation, left, right, shift), many)


def test_values_are_what_their_names_say() -> None:
    fitted = plan("trees")
    names = list(fitted.get_feature_names_out())
    found = fitted.transform(
        mixed_frame([(10.0, 4.0, 1.0, "pro", "city 1", START, datetime(2026, 1, 3, 12, tzinfo=UTC))], ALL)
    )
    values = dict(zip(names, found[0].tolist(), strict=True))
    assert [values[name] for name in NAMES[:5]] == [2.5, 6.0, 100.0, 40.0, 2.5]


def test_pairs_tell_what_neither_side_does() -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.choice(list("abcdefgh"), 800) for _ in range(2))
    y = ((np.char.mod("%s", left) < "e") ^ (right < "e")).astype(int)
    fields = (Field(name="left", type="string"), Field(name="right", type="string"))
    frame = mixed_frame(list(zip(left.tolist(), right.tolist(), strict=True)), fields)
    alone = build_plan(fields, Features(), "binary", "trees").fit(frame, y)
    assert list(alone.get_feature_names_out()) == ["left (rows)", "right (rows)"]
    paired = build_plan(fields, Features(), "binary", "trees", [Generated("pair", "left", "right")]).fit(frame, y)
    means = paired.transform(frame)[:, list(paired.get_feature_names_out()).index("left & right (target mean)")]
    assert ((means > 0.5) == y).mean() > 0.99


def test_pairs_are_made_of_each_side_as_text() -> None:
    left, right = np.array(["a", None, "x" * 90], dtype=object), np.array([1.0, np.nan, -0.0])
    assert pairs_of(left, right).tolist() == ["a & 1", "(missing) & (missing)", "x" * 58 + " & 0"]


def test_a_package_keeps_generated_features_without_pickle_and_explains_them(tmp_path: Path) -> None:
    found = rows(300)
    frame, y = mixed_frame(found, ALL), targets([row[:6] for row in found], "binary")
    unfitted = build_plan(ALL, Features(), "binary", "scaled", MADE)
    pipeline = Pipeline([("features", unfitted), ("model", LogisticRegression(max_iter=500))]).fit(frame, y)
    package = ModelPackage(manifest("binary", ALL), pipeline)
    save_package(tmp_path, package)
    np.testing.assert_array_equal(load_package(tmp_path).probabilities(frame), pipeline.predict_proba(frame))
    explained = explainer_of(pipeline, package.manifest).explain(found[:20])
    sums = explained.base + explained.contributions.sum(axis=1)
    np.testing.assert_allclose(sums[:, 0], pipeline.decision_function(frame[:20]), atol=1e-4)


def test_what_two_columns_made_is_credited_to_both_in_halves() -> None:
    rng = np.random.default_rng(0)
    fields = (*(Field(name=name, type="number") for name in "ab"), Field(name="c", type="string"))
    found = [(*rng.normal(size=2).tolist(), rng.choice(["x", "y"])) for _ in range(200)]
    frame = mixed_frame(found, fields)
    made = [Generated("ratio", "a", "b"), Generated("product", "a", "a"), Generated("difference", "b", "a")]
    unfitted = build_plan(fields, Features(), "regression", "scaled", made)
    pipeline = Pipeline([("features", unfitted), ("model", Ridge())]).fit(frame, frame["a"] * frame["b"])
    plan, model = pipeline[0], pipeline[1]
    parts = dict(
        zip(plan.get_feature_names_out(), ((plan.transform(frame) - plan.center_) * model.coef_).T, strict=True)
    )
    explained = explainer_of(pipeline, manifest("regression", fields)).explain(found)
    half = (parts["a / b"] + parts["b - a"]) / 2
    np.testing.assert_allclose(explained.contributions[:, 0, 0], parts["a"] + half + parts["a²"], atol=1e-6)
    np.testing.assert_allclose(explained.contributions[:, 1, 0], parts["b"] + half, atol=1e-6)
    sums = explained.base + explained.contributions.sum(axis=1)
    np.testing.assert_allclose(sums[:, 0], pipeline.predict(frame), atol=1e-6)
    pairs = build_plan(
        (*fields[2:], Field(name="d", type="string")), Features(), "binary", "trees", [Generated("pair", "c", "d")]
    )
    both = mixed_frame([("x", "u"), ("y", "v")] * 40, (fields[2], Field(name="d", type="string")))
    encoding = pairs.fit(both, np.tile([0, 1], 40)).encoding(["c", "d"])
    assert {names for part in encoding.parts for names in part.sources()} == {("c",), ("d",), ("c", "d")}
