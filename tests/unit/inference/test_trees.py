"""Trees as arrays divide rows exactly as their library does: at every threshold, at gaps, with any number of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Ridge

from include.inference.convert_trees import tree_graph
from include.inference.export import OPSETS
from include.inference.trees import Trees, trees_of

lightgbm, onnxruntime, xgboost = (pytest.importorskip(name) for name in ("lightgbm", "onnxruntime", "xgboost"))
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(600, 4)).astype(np.float32)
GAPS = np.where(RNG.random(ROWS.shape) < 0.2, np.float32(np.nan), ROWS)
SIGNAL = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
TARGETS: dict[str, Any] = {
    "binary": (SIGNAL > 0).astype(int),
    "multiclass": np.digitize(SIGNAL, [-1, 0, 1]),
    "regression": 100 * SIGNAL + 1000,
}
BOOSTED = {"n_estimators": 30, "n_jobs": 1}
KINDS: dict[str, dict[bool, Callable[[], Any]]] = {
    "random forest": {
        True: lambda: RandomForestClassifier(20, random_state=0),
        False: lambda: RandomForestRegressor(20, random_state=0),
    },
    "extra trees": {
        True: lambda: ExtraTreesClassifier(20, min_samples_leaf=2, random_state=0),
        False: lambda: ExtraTreesRegressor(20, random_state=0),
    },
    "lightgbm": {
        True: lambda: lightgbm.LGBMClassifier(**BOOSTED, verbose=-1),
        False: lambda: lightgbm.LGBMRegressor(**BOOSTED, verbose=-1),
    },
    "xgboost": {True: lambda: xgboost.XGBClassifier(**BOOSTED), False: lambda: xgboost.XGBRegressor(**BOOSTED)},
}


def answers(trees: Trees, rows: np.ndarray[Any, Any], classifies: bool) -> np.ndarray[Any, Any]:
    """Return what the graph of ``trees`` says of ``rows``."""
    graph = tree_graph(trees, rows.shape[1], classifies, OPSETS)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray[Any, Any] = session.run(None, {"rows": rows})[0]
    return found


def on_thresholds(trees: Trees, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return rows that lie on thresholds of ``trees``, and as near to them as a float32 can be."""
    size = np.abs(trees.threshold)  # LightGBM takes what is smaller than 1e-35 for 0
    inner = np.flatnonzero((trees.left >= 0) & (size > 1e-30) & (size < np.inf))[:800]
    near = np.repeat(rows[np.arange(len(inner)) % len(rows)], 3, axis=0)
    for step, towards in enumerate((None, -np.inf, np.inf)):
        values = trees.threshold[inner]
        moved = values if towards is None else np.nextafter(values, np.float32(towards))
        near[np.arange(len(inner)) * 3 + step, trees.feature[inner]] = moved
    return near


@pytest.mark.parametrize("rows", [ROWS, GAPS], ids=["whole", "gaps"])
@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_they_answer_as_their_library_does(kind: str, task: str, rows: np.ndarray[Any, Any]) -> None:
    classifies = task != "regression"
    model = KINDS[kind][classifies]().fit(rows, TARGETS[task])
    trees = trees_of(model)
    assert trees is not None
    asked = np.vstack([rows, on_thresholds(trees, rows), np.full((1, 4), 1e30), np.full((1, 4), -1e30)]).astype("f4")
    if classifies:
        np.testing.assert_allclose(answers(trees, asked, True), model.predict_proba(asked), atol=2e-6)
    else:
        np.testing.assert_allclose(answers(trees, asked, False)[:, 0], model.predict(asked), rtol=2e-6, atol=2e-4)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_rounds_after_the_best_one_do_not_count(kind: str, task: str) -> None:
    model = KINDS[kind][True]().set_params(n_estimators=300, learning_rate=0.5)
    if kind == "xgboost":
        model.set_params(early_stopping_rounds=5).fit(
            ROWS[:300], TARGETS[task][:300], eval_set=[(ROWS[300:], TARGETS[task][300:])], verbose=False
        )
    else:
        stop = lightgbm.early_stopping(5, verbose=False)
        model.fit(ROWS[:300], TARGETS[task][:300], eval_set=[(ROWS[300:], TARGETS[task][300:])], callbacks=[stop])
    trees = trees_of(model)
    assert trees is not None and len(trees.sizes) < 300
    np.testing.assert_allclose(answers(trees, ROWS, True), model.predict_proba(ROWS), atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tree_may_be_a_single_leaf(kind: str) -> None:
    model = KINDS[kind][False]().set_params(n_estimators=3).fit(ROWS[:30] * 0, np.arange(30.0))
    trees = trees_of(model)
    assert trees is not None
    np.testing.assert_allclose(answers(trees, ROWS[:5], False)[:, 0], model.predict(ROWS[:5]), rtol=1e-6)


def test_what_cannot_be_read_is_left_to_others() -> None:
    codes = (np.abs(ROWS) * 3).astype(int)
    target = TARGETS["binary"]
    others = [
        lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(codes, (codes[:, 0] % 2), categorical_feature=[0]),
        lightgbm.LGBMRegressor(n_estimators=3, linear_tree=True, verbose=-1).fit(ROWS, SIGNAL),
        lightgbm.LGBMRegressor(n_estimators=3, objective="poisson", verbose=-1).fit(ROWS, np.abs(SIGNAL)),
        lightgbm.LGBMClassifier(n_estimators=3, boosting_type="rf", subsample=0.5, subsample_freq=1, verbose=-1).fit(
            ROWS, target
        ),
        xgboost.XGBRegressor(n_estimators=3, objective="count:poisson").fit(ROWS, np.abs(SIGNAL)),
        xgboost.XGBClassifier(n_estimators=3, booster="dart").fit(ROWS, target),
        RandomForestRegressor(3).fit(ROWS, ROWS[:, :2]),
        Ridge().fit(ROWS, SIGNAL),
    ]
    assert [trees_of(model) for model in others] == [None] * len(others)
