"""Counting a window part by part tells the same as having it in one place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.monitoring.counts import Reckoner, WindowCounts
from include.monitoring.drift import Compared, DriftMonitor, column_drifts, reckoner, with_answers
from include.specs.operation import Monitoring
from tests.unit.monitoring.conftest import World

KINDS = {"smooth": "numeric", "tied": "numeric", "gaps": "numeric", "flag": "categorical", "plan": "categorical"}


def frame(rng: np.random.Generator, rows: int, moved: float = 0.0) -> pd.DataFrame:
    gaps = rng.normal(size=rows)
    gaps[rng.random(rows) < 0.3] = np.nan
    return pd.DataFrame(
        {
            "smooth": rng.normal(moved, 1, rows),
            "tied": rng.poisson(3 + moved, rows).astype(float),
            "gaps": gaps,
            "flag": (rng.random(rows) < 0.3 + moved / 10).astype(float),
            "plan": rng.choice(["a", "b", "c", None], rows, p=[0.6 - moved / 4, 0.3 + moved / 4, 0.09, 0.01]),
        }
    )


def counted(reference: pd.DataFrame, current: pd.DataFrame, parts: int) -> dict[str, tuple[float, float]]:
    counts_of, total = Reckoner.of(reference, KINDS), WindowCounts()
    for part in np.array_split(np.arange(len(current)), parts):
        total.add(counts_of.count(current.iloc[part]))
    return counts_of.tests(total)


@pytest.mark.parametrize(("rows", "moved"), [(300, 0.0), (4000, 0.3), (60_000, 0.02)])
def test_the_tests_of_counts_are_those_of_the_rows(rows: int, moved: float) -> None:
    rng = np.random.default_rng(rows)
    reference, current = frame(rng, 2000), frame(rng, rows, moved)
    found = counted(reference, current, 7)
    expected = column_drifts(Compared(reference, current, KINDS), 0.01, 0.1)
    assert set(found) == {column.column for column in expected}
    for column in expected:
        assert found[column.column] == pytest.approx((column.p_value, column.psi), rel=1e-9, abs=1e-12)


def test_a_column_without_a_value_in_the_window_is_left_out() -> None:
    rng = np.random.default_rng(1)
    current = frame(rng, 100).assign(gaps=np.nan, plan=None)
    assert set(counted(frame(rng, 100), current, 2)) == {"smooth", "tied", "flag"}


@pytest.mark.parametrize("moved", [{}, {"income": 3.0}])
def test_the_monitor_says_the_same_of_counts(world: World, moved: dict[str, float]) -> None:
    monitor = DriftMonitor(world.reference, Monitoring())
    sample = world.sample(800, **moved)
    counts = reckoner(world.reference).count(with_answers(world.reference, sample))
    here, there = monitor.calculate(sample), monitor.judge(counts)
    assert there.signal == here.signal == bool(moved)
    assert there.message == here.message
    for one, other in zip(there.evidence["columns"], here.evidence["columns"], strict=True):
        assert {**one, "p_value": 0, "psi": 0} == {**other, "p_value": 0, "psi": 0}
        assert (one["p_value"], one["psi"]) == pytest.approx((other["p_value"], other["psi"]), rel=1e-9)
