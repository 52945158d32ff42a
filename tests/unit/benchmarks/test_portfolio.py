"""How portfolios are chosen from cells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.portfolio.choose import curve, greedy, left_out_curve, random_curve, regrets, scale
from benchmarks.portfolio.datasets import TABLES
from benchmarks.portfolio.measure import Cell, read
from include.automl.families import find_family
from include.specs.training import FAMILIES, Task


def cell(table: str, name: str, score: float | None) -> Cell:
    return Cell(table, "linear", {"name": name}, score, 1.0, "c0ffee")


CELLS = [
    *(cell("first", name, score) for name, score in (("a", 1.0), ("b", 0.5), ("c", 0.75))),
    *(cell("second", name, score) for name, score in (("a", -3.0), ("b", -1.0), ("c", -2.0))),
    *(cell("flat", name, 0.5) for name in "abc"),
]


def test_regret_is_0_for_the_best_and_1_from_the_median_down() -> None:
    between = scale(CELLS)
    assert between == {"first": (1.0, 0.75), "second": (-1.0, -2.0)}, "a table that tells nothing apart is left out"
    names, tables, found = regrets(CELLS, between)
    assert [json.loads(name)["name"] for name in names] == ["a", "b", "c"]
    assert tables == ["first", "second"]
    np.testing.assert_allclose(found, [[0, 1], [1, 0], [1, 1]])


def test_a_failure_is_regretted_wholly_and_what_was_not_tried_everywhere_is_left_out() -> None:
    cells = [*CELLS, cell("first", "d", None), cell("second", "d", -1.0), cell("second", "e", 0.0)]
    names, _, found = regrets(cells, {"first": (1.0, 0.75), "second": (-1.0, -2.0)})
    assert [json.loads(name)["name"] for name in names] == ["a", "b", "c", "d"]
    np.testing.assert_allclose(found[3], [1, 0])


def test_greedy_takes_what_covers_the_tables_that_are_left() -> None:
    # the middling one is best alone; then each half has its specialist
    found = np.array([[0.3, 0.3, 0.3, 0.3], [0.0, 0.0, 0.8, 0.8], [0.9, 0.9, 0.0, 0.1], [0.2, 0.4, 0.5, 0.3]])
    order = greedy(found, 3)
    assert order == [0, 1, 2]
    assert curve(found, order) == pytest.approx([0.3, 0.15, 0.025])
    assert greedy(found, 9) == [*order, 3]


def test_a_portfolio_chosen_of_noise_is_no_better_than_chance_on_tables_that_were_left_out() -> None:
    noise = np.random.default_rng(0).uniform(size=(30, 60))
    honest, seen, chance = left_out_curve(noise, 4), curve(noise, greedy(noise, 4)), random_curve(noise, 4)
    assert seen[3] < chance[3] - 0.02, "on the tables that chose it, it looks better"
    assert honest == pytest.approx(chance, abs=0.02)


def test_a_portfolio_that_is_right_is_better_than_chance_on_tables_that_were_left_out() -> None:
    rng = np.random.default_rng(1)
    quality = np.linspace(0, 0.8, 30)[:, None]
    found = np.clip(quality + rng.uniform(0, 0.2, (30, 60)), 0, 1)
    assert left_out_curve(found, 3)[0] < random_curve(found, 3)[0] - 0.2


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("name", FAMILIES)
def test_whatever_is_shipped_was_measured_on_every_table(name: str, task: Task) -> None:
    cells = [one for one in read() if (TABLES[one.table].task == "regression") == (task == "regression")]
    tables = {one.table for one in cells}
    assert len(tables) >= 12
    for params in find_family(name).portfolio(task):
        assert {one.table for one in cells if one.family == name and one.params == params} == tables
