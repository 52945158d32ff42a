"""Folds that fit the data: no future, no shared group, every class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.automl.folds import FIRST_SHARE, make_folds
from include.features.prepared import Prepared
from include.specs import FactoryError
from include.store.packages import Field


def prepared(
    target: np.ndarray, task: str = "binary", groups: np.ndarray | None = None, ordered: bool = False
) -> Prepared:
    frame = pd.DataFrame({"x": np.arange(len(target), dtype=float)})
    classes = None if task == "regression" else tuple(range(int(target.max()) + 1))
    return Prepared(
        task, (Field(name="x", type="number"),), classes, frame, target, frame[:0], target[:0], groups, ordered
    )


def test_every_row_is_held_once_and_classes_are_shared_out() -> None:
    target = np.array([0] * 90 + [1] * 10)
    folds = make_folds(prepared(target), 5, 0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(100))
    assert [int(target[held].sum()) for _, held in folds] == [2] * 5
    assert all(not set(fit) & set(held) for fit, held in folds)


def test_ordered_rows_never_see_the_future() -> None:
    target = np.tile([0, 1], 100)
    folds = make_folds(prepared(target, ordered=True), 3, 0)
    assert len(folds) == 3
    assert all(fit.max() < held.min() for fit, held in folds)
    assert [len(fit) for fit, _ in folds] == [80, 120, 160]
    assert np.concatenate([held for _, held in folds]).tolist() == list(range(int(200 * FIRST_SHARE), 200))


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_groups_stay_together(ordered: bool, task: str) -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(2, size=300) if task == "binary" else rng.normal(size=300)
    groups = rng.integers(40, size=300)
    folds = make_folds(prepared(target, task, groups, ordered), 4, 0)
    assert folds
    for fit, held in folds:
        assert not set(groups[fit]) & set(groups[held])


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_rare_class_takes_fewer_folds_not_an_error() -> None:
    target = np.array([0] * 50 + [1] * 2)
    folds = make_folds(prepared(target), 5, 0)
    assert 1 <= len(folds) <= 2
    assert all(len(np.unique(target[held])) == 2 for _, held in folds)


def test_a_class_that_comes_late_does_not_stop_ordered_rows() -> None:
    target = np.array([0] * 90 + [1] * 10)  # no fold by time can both fit and score the second class
    assert make_folds(prepared(target, ordered=True), 3, 0)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_rows_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(FactoryError, match="bring more rows"):
        make_folds(prepared(np.array([0, 0, 0, 1])), 3, 0)
