"""Nearest neighbours that answer alike wherever they run: held against sums by hand, and in ONNX against themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier

from include.inference.convert_neighbours import register_neighbours
from include.inference.export import _graph
from include.inference.neighbours import BEYOND, NeighboursClassifier, NeighboursRegressor

onnxruntime = pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 4)).astype(np.float32)
GRID = RNG.integers(0, 3, size=(600, 3)).astype(np.float32)
"""27 places for 600 rows: hardly a row has neighbours that are not equally far."""


def classes(rows: Any) -> Any:
    return np.digitize(rows[:, 0] + rows[:, 1] ** 2, [0.5, 2.0])


def in_onnx(model: Any, rows: Any) -> Any:
    classifies = hasattr(model, "predict_proba")
    register_neighbours()
    graph = _graph(model, rows.shape[1], classifies).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: rows})[-1]
    return found if classifies else found.ravel()


@pytest.mark.parametrize("kernel", ["epanechnikov", "biweight"])
def test_answers_are_weighted_means_of_all_rows_within_the_width(kernel: Any) -> None:
    target = ROWS[:, 0] * 3 + 100
    weights = RNG.uniform(0.5, 2.0, size=len(ROWS))
    model = NeighboursRegressor(7, kernel).fit(ROWS, target, weights)
    for row in RNG.normal(size=(20, 4)).astype(np.float32):
        squares = ((ROWS.astype(float) - row) ** 2).sum(axis=1)
        width = BEYOND * np.sort(squares)[7] + model.least_
        by = np.maximum(0, 1 - squares / width) ** (1 if kernel == "epanechnikov" else 2)
        assert (by > 0).sum() >= 8
        assert model.predict(row[None])[0] == pytest.approx(np.average(target, weights=by * weights), abs=1e-4)


def test_rows_that_are_equally_far_count_alike_in_whatever_order() -> None:
    codes = RNG.integers(0, 3, size=len(GRID))
    order = RNG.permutation(len(GRID))
    asked = RNG.uniform(0, 2, size=(50, 3)).astype(np.float32)
    one = NeighboursClassifier(5).fit(GRID, codes).predict_proba(np.concatenate([GRID, asked]))
    other = NeighboursClassifier(5).fit(GRID[order], codes[order]).predict_proba(np.concatenate([GRID, asked]))
    np.testing.assert_allclose(one, other, atol=1e-9)
    here = (GRID[0] == GRID).all(axis=1)
    shares = np.bincount(codes[here], minlength=3) / here.sum()
    everywhere = np.bincount(codes, minlength=3) / len(codes)
    np.testing.assert_allclose(one[0], 5 / 6 * shares + 1 / 6 * everywhere, atol=1e-6)


def test_a_row_hardly_moved_is_answered_hardly_otherwise() -> None:
    model = NeighboursClassifier(5).fit(GRID, classes(GRID))
    moved = GRID + RNG.normal(size=GRID.shape).astype(np.float32) * 1e-6
    np.testing.assert_allclose(model.predict_proba(GRID), model.predict_proba(moved), atol=1e-3)


def test_the_loss_is_finite_and_less_than_that_of_plain_neighbours() -> None:
    train, test = ROWS[:200], ROWS[200:]
    ours = NeighboursClassifier(20).fit(train, classes(train)).predict_proba(test)
    plain = KNeighborsClassifier(20, weights="distance").fit(train, classes(train)).predict_proba(test)
    assert ours.min() > 0
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-6)
    assert log_loss(classes(test), ours) < log_loss(classes(test), plain)


@pytest.mark.parametrize("kernel", ["epanechnikov", "biweight"])
@pytest.mark.parametrize("rows", [ROWS, GRID, ROWS * 1e6, np.concatenate([ROWS, 1e4 * ROWS[:5]])])
def test_onnx_answers_the_same_to_rows_that_it_remembers_and_others(rows: Any, kernel: Any) -> None:
    asked = np.concatenate([rows, rows + RNG.normal(size=rows.shape).astype(np.float32) * rows.std()])
    asked[-1] = 1e30
    model = NeighboursClassifier(9, kernel).fit(rows, classes(rows / rows.std()))
    np.testing.assert_allclose(in_onnx(model, asked), model.predict_proba(asked), atol=1e-5)
    regressor = NeighboursRegressor(9, kernel).fit(rows, rows[:, 0] + 1e6)
    np.testing.assert_allclose(in_onnx(regressor, asked), regressor.predict(asked), rtol=1e-5)


def test_few_rows_and_rows_without_weight() -> None:
    model = NeighboursRegressor(50).fit(ROWS[:3], np.array([1.0, 2.0, 6.0]))
    assert np.isfinite(model.predict(ROWS)).all()
    assert NeighboursRegressor(5).fit(ROWS[:1], np.array([4.0])).predict(ROWS[:2]).tolist() == [4.0, 4.0]
    same = NeighboursRegressor(2).fit(np.zeros((6, 4), np.float32), np.arange(6.0), np.array([0, 0, 0, 1, 1, 0]))
    assert same.predict(np.zeros((1, 4), np.float32))[0] == pytest.approx(3.5)
    assert clone(NeighboursClassifier(7, "biweight", 2.0)).get_params() == {
        "neighbours": 7,
        "kernel": "biweight",
        "prior": 2.0,
    }
