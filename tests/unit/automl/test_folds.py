"""Folds that fit the data: no future, no shared group, every class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.automl import folds as module
from include.automl.folds import FIRST_SHARE, LEAST_FIT, LEAST_HELD, VALUE_SECONDS, answers, in_time, make_folds
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


def seconds_for(fits: float, rows: int, columns: int = 1) -> float:
    """Return the time that so many fits on ``rows`` are reckoned to take."""
    return fits * VALUE_SECONDS * rows * columns


def test_a_trial_fits_as_many_folds_as_it_has_time_for() -> None:
    rows = prepared(np.arange(50_000) % 2)
    folds = make_folds(rows, None, 0)
    assert [len(in_time(folds, rows, seconds_for(fits, 40_000), 0)) for fits in (9, 5.5, 3.5, 1.5, 0.1)] == [
        5,
        5,
        3,
        1,
        1,
    ]
    assert in_time(folds, rows, seconds_for(2.5, 40_000), 0) == folds[:2]


def test_a_comparison_has_enough_held_rows_whatever_the_time() -> None:
    rows = prepared(np.arange(6000) % 2)
    kept = in_time(make_folds(rows, None, 0), rows, 1e-9, 0)
    assert sum(len(held) for _, held in kept) >= LEAST_HELD > sum(len(held) for _, held in kept[:-1])
    few = prepared(np.arange(500) % 2)
    folds = make_folds(few, None, 0)
    assert len(in_time(folds, few, 1e-9, 0)) == len(folds) == 10


def test_of_rows_in_time_order_the_latest_folds_count() -> None:
    rows = prepared(np.arange(100_000) % 2, ordered=True)
    folds = make_folds(rows, None, 0)
    kept = in_time(folds, rows, seconds_for(1.5, 70_000), 0)
    assert kept == folds[-1:]


def test_each_class_has_trees_of_its_own() -> None:
    two, ten = prepared(np.arange(50_000) % 2), prepared(np.arange(50_000) % 10, "multiclass")
    time = seconds_for(5.5, 40_000)
    assert [len(in_time(make_folds(rows, None, 0), rows, time, 0)) for rows in (two, ten)] == [5, 1]


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what holds from 150 000 rows on hold from 30 000."""
    monkeypatch.setattr(module, "MANY", 30_000)
    monkeypatch.setattr(module, "MANY_FIT", 35_000)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("ordered", [False, True])
def test_a_single_fold_fits_on_as_many_rows_as_there_is_time_for(ordered: bool) -> None:
    rows = prepared(np.arange(50_000) % 2, ordered=ordered)
    folds = make_folds(rows, None, 0)
    assert len(folds) == 1 and len(folds[0][0]) == 35_000
    ((fit, held),) = in_time(folds, rows, seconds_for(1, 25_000), 0)
    assert len(fit) == 25_000 and set(fit) <= set(folds[0][0])
    assert not set(fit) & set(held)
    assert not ordered or fit.tolist() == folds[0][0][-25_000:].tolist()
    ((least, _),) = in_time(folds, rows, 0.0, 0)
    assert len(least) == LEAST_FIT
    ((whole, _),) = in_time(folds, rows, 60.0, 0)
    assert len(whole) == 35_000


def test_models_of_folds_answer_where_they_have_seen_every_row() -> None:
    rows = prepared(np.arange(1000) % 2)
    assert answers(make_folds(rows, None, 0), rows) == "folds"
    ordered = prepared(np.arange(1000) % 2, ordered=True)
    assert answers(make_folds(ordered, None, 0), ordered) == "refit"


@pytest.mark.usefixtures("few_are_many")
def test_of_many_rows_either_may_answer() -> None:
    rows = prepared(np.arange(50_000) % 2)
    assert answers(make_folds(rows, None, 0), rows) == "either"
