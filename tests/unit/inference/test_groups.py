"""Members that are computed together answer as each of them does alone, in far fewer operators."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from include.inference.blended import blended_graph
from include.inference.ensemble import BlendClassifier, BlendRegressor
from include.inference.export import OPSETS, _graph
from include.inference.mlp import TabularMLPClassifier, TabularMLPRegressor
from include.inference.stack import PoolClassifier, StackRegressor
from include.specs.training import Task

catboost, lightgbm, onnxruntime, xgboost = map(pytest.importorskip, ("catboost", "lightgbm", "onnxruntime", "xgboost"))
RNG = np.random.default_rng(0)
WIDTHS = (6, 4, 5)
"""Columns that each fold's plan gives: levels of a category differ from fold to fold."""
ROWS = RNG.normal(size=(400, sum(WIDTHS))).astype(np.float32)
ROWS[:, 3] = ROWS[:, 3] > 0  # of two values, so that a net makes no steps of it
SIGNAL = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 7] + ROWS[:, 11]
TARGETS: dict[Task, Any] = {
    "binary": (SIGNAL > 0).astype(int),
    "multiclass": np.digitize(SIGNAL, [-1, 1]),
    "regression": 50 * SIGNAL + 300,
}
SMALL = {"n_estimators": 12, "n_jobs": 1}
CLASSIFIERS: tuple[Any, ...] = (
    lambda: TabularMLPClassifier(width=8, epochs=6, random_state=0),
    lambda: TabularMLPClassifier(width=8, epochs=6, quantiles=0, random_state=1),
    lambda: TabularMLPClassifier(width=4, hidden=1, members=1, epochs=6, random_state=2),
    lambda: lightgbm.LGBMClassifier(**SMALL, verbose=-1),
    lambda: xgboost.XGBClassifier(**SMALL),
    lambda: catboost.CatBoostClassifier(iterations=12, depth=4, verbose=False, allow_writing_files=False),
    lambda: ExtraTreesClassifier(12, random_state=0),
    lambda: LogisticRegression(max_iter=500),
)
REGRESSORS: tuple[Any, ...] = (
    lambda: TabularMLPRegressor(width=8, epochs=6, random_state=0),
    lambda: lightgbm.LGBMRegressor(**SMALL, verbose=-1),
    lambda: xgboost.XGBRegressor(**SMALL),
    lambda: catboost.CatBoostRegressor(iterations=12, depth=4, verbose=False, allow_writing_files=False),
    lambda: ExtraTreesRegressor(12, random_state=0),
    lambda: Ridge(),
)


def ensemble(task: Task, stacked: bool) -> Any:
    """Return every kind of model, fitted three times on rows of different width."""
    ends = np.cumsum([0, *WIDTHS]).tolist()
    places = list(pairwise(ends))
    members, slices = [], []
    for make in REGRESSORS if task == "regression" else CLASSIFIERS:
        for start, stop in places:
            members.append(make().fit(ROWS[:, start:stop], TARGETS[task]))
            slices.append((start, stop))
    weights = RNG.random(len(members))
    weights = (weights / weights.sum()).tolist()
    if task == "regression":
        if stacked:
            return StackRegressor(members, slices, weights, ends[-1], 7.5)
        return BlendRegressor(members, slices, weights, ends[-1])
    classes = len(np.unique(TARGETS[task]))
    if stacked:
        return PoolClassifier(members, slices, weights, ends[-1], np.linspace(0, 0.4, classes).tolist(), classes)
    return BlendClassifier(members, slices, weights, ends[-1], classes)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("task", TARGETS)
def test_together_they_answer_as_alone(task: Task, stacked: bool) -> None:
    blend = ensemble(task, stacked)
    classifies = task != "regression"
    graph = blended_graph(blend, lambda member, width: _graph(member, width, classifies), OPSETS)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    asked = np.vstack([ROWS, 30 * ROWS[:50]]).astype(np.float32)
    found = session.run(None, {session.get_inputs()[0].name: asked})[0]
    if classifies:
        # the logarithm of a small probability tells more of its last digits
        np.testing.assert_allclose(found, blend.predict_proba(asked), atol=5e-5 if stacked else 5e-6)
    else:
        np.testing.assert_allclose(found[:, 0], blend.predict(asked), rtol=1e-5)
    alone = {node.op_type for node in graph.graph.node if node.name.startswith("m")}
    assert "TreeEnsembleRegressor" not in alone and "Softmax" not in alone
    trees = [node for node in graph.graph.node if node.op_type == "TreeEnsembleRegressor"]
    assert len(trees) <= 2, "one operator for sums that are treated alike"


def test_a_single_row_is_a_table_too() -> None:
    blend = ensemble("binary", False)
    graph = blended_graph(blend, lambda member, width: _graph(member, width, True), OPSETS)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    whole = session.run(None, {name: ROWS[:7]})[0]
    ones = np.vstack([session.run(None, {name: ROWS[row : row + 1]})[0] for row in range(7)])
    np.testing.assert_allclose(ones, whole, atol=1e-6)
