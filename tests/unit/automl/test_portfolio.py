"""The portfolio: every family once before any twice, in an order that suits the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.automl.portfolio import _FIRST, _WIDE_FIRST, Shape, portfolio
from include.features.prepared import Prepared
from include.specs.training import FAMILIES, TASKS, Task
from include.store.packages import Field


@pytest.mark.parametrize("task", TASKS)
def test_every_family_comes_once_before_any_comes_twice(task: Task) -> None:
    found = [one.family for one in portfolio(FAMILIES, task, Shape(5000, 20))]
    assert set(found[: len(FAMILIES)]) == set(FAMILIES)
    assert len(found) > 2 * len(FAMILIES)


def test_no_configuration_comes_twice() -> None:
    found = portfolio(FAMILIES, "binary", Shape(5000, 20))
    assert all(one not in found[:place] for place, one in enumerate(found))


@pytest.mark.parametrize(
    ("shape", "order"),
    [(Shape(5000, 20), _FIRST), (Shape(60, 2000), _WIDE_FIRST)],
)
def test_the_table_decides_the_order(shape: Shape, order: tuple[str, ...]) -> None:
    assert set(order) == set(FAMILIES)
    assert [one.family for one in portfolio(FAMILIES, "binary", shape)[: len(order)]] == list(order)


def test_only_the_families_that_are_asked_for() -> None:
    found = portfolio(("xgboost", "linear"), "regression", Shape(500, 3))
    assert [one.family for one in found[:2]] == ["linear", "xgboost"]
    assert {one.family for one in found} == {"linear", "xgboost"}


def test_the_shape_is_read_without_the_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(30.0), "z": np.arange(30.0)})
    fields = (Field(name="x", type="number"), Field(name="z", type="number"))
    Prepared("regression", fields, None, frame, np.arange(30.0), frame[:5], np.arange(5.0)).save(tmp_path)
    assert Shape.of(tmp_path) == Shape(30, 2)
