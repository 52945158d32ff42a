"""A column with which the answer may only rise stays so through features, families and the spec's other wishes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.automl.bench import Configuration
from include.automl.portfolio import able, allowed
from include.evaluation.metrics import metric
from include.features.generation import propose
from include.features.plan import build_plan
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.specs import SpecError, parse_spec
from include.specs.training import FAMILIES, Features
from include.store.packages import Field

SPEC = """
name: m
owner: me
data: {source: {path: x.csv}}
problem: {type: %s, target: y}
features: {monotone: {price: decreasing, age: increasing}}
"""


def features(**monotone: str) -> Features:
    return Features.model_validate({"monotone": monotone})


def test_families_that_cannot_keep_to_it_are_told() -> None:
    kept, left_out = able(FAMILIES, features(age="increasing"))
    assert set(kept) == {"lightgbm", "xgboost", "catboost", "extra_trees", "random_forest"}
    assert set(left_out) == {"linear", "knn", "svm", "neural_net"}
    assert able(FAMILIES, Features()) == (FAMILIES, ())


def test_what_a_champion_made_of_the_column_is_not_fitted_again() -> None:
    asked = features(age="increasing")
    assert allowed(Configuration("lightgbm", {}, (("ratio", "fee", "debt"),)), asked)
    assert not allowed(Configuration("lightgbm", {}, (("ratio", "fee", "age"),)), asked)
    assert not allowed(Configuration("linear", {}), asked) and allowed(Configuration("linear", {}), Features())


def test_nothing_else_is_made_of_the_column() -> None:
    """Codes whose levels jump: they would be used as a category too."""
    rng = np.random.default_rng(0)
    code = rng.integers(0, 100, size=4000).astype(float)
    target = (rng.normal(size=100)[code.astype(int)] + rng.normal(scale=0.5, size=4000) > 0).astype(int)
    fields = (Field(name="x", type="number"), Field(name="code", type="number"))
    rows = pd.DataFrame({"x": rng.normal(size=4000), "code": code})
    usual = build_plan(fields, Features(), "binary", "trees").fit(rows, target)
    asked = features(code="increasing")
    plan = build_plan(fields, asked, "binary", "trees").fit(rows, target)
    assert len(usual.get_feature_names_out()) > 2
    assert plan.get_feature_names_out().tolist() == ["x", "code"]
    assert plan.signs(asked.signs) == [0, 1]


def test_signs_are_those_of_the_numbers_alone() -> None:
    fields = tuple(Field(name=name, type=kind) for name, kind in (("a", "number"), ("c", "string"), ("b", "number")))
    rows = pd.DataFrame({"a": [1.0, np.nan] * 40, "c": ["u", "v"] * 40, "b": np.arange(80.0)})
    plan = build_plan(fields, Features(), "regression", "trees").fit(rows, np.arange(80.0))
    names = plan.get_feature_names_out().tolist()
    signs = dict(zip(names, plan.signs({"b": -1, "a": 1, "c": 1}), strict=True))
    assert signs.pop("a") == 1 and signs.pop("b") == -1 and not any(signs.values()) and len(names) > 3


def test_features_are_made_of_other_columns() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.uniform(1, 9, size=(800, 3)), columns=["income", "debt", "age"])
    target = (frame["income"] / frame["debt"] + rng.normal(scale=0.1, size=800)).to_numpy()
    fields = tuple(Field(name=name, type="number") for name in frame)
    prepared = Prepared("regression", fields, None, frame, target, frame[:9], target[:9])
    assert propose(prepared, Features(), metric("rmse"), 60.0, 0)
    for one in propose(prepared, features(debt="decreasing"), metric("rmse"), 60.0, 0):
        assert "debt" not in (one.left, one.right)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPEC % "multiclass", "features.monotone: of several classes"),
        (SPEC % "binary" + "packaging: {optimise: [student, compiled]}", "packaging.optimise: student would not keep"),
        ((SPEC % "binary").replace("increasing", "rising"), "features.monotone.age"),
    ],
)
def test_what_the_spec_cannot_have_is_told(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(text, "m.yaml")


@pytest.mark.parametrize(
    ("price", "message"),
    [(["low", "high"], "features.monotone: column 'price' is no number"), (None, "there is no column 'price'")],
)
def test_only_numbers_rise(price: list[str] | None, message: str) -> None:
    rows = pd.DataFrame({"age": np.arange(100.0) % 17, "x": np.arange(100) % 7, "y": np.arange(100) % 2})
    if price:
        rows["price"] = price * 50
    with pytest.raises(SpecError, match=message):
        prepare_rows(rows, parse_spec(SPEC % "binary", "m.yaml"), False)
