"""Drift: its false-alarm rate over all columns together, its power, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from include.monitoring.drift import PREDICTION, Compared, DriftMonitor, column_drifts, compared
from include.monitoring.sample import Reference, Sample
from include.specs.operation import Monitoring

SETTINGS = Monitoring()


def mixed(rng: np.random.Generator, rows: int, correlated: bool) -> pd.DataFrame:
    """Return eight columns of one population: numbers, counts, categories, booleans."""
    common = rng.normal(size=rows) if correlated else 0.0
    numbers = {f"n{i}": common + rng.normal(size=rows) * (0.3 if correlated else 1.0) for i in range(4)}
    return pd.DataFrame(
        numbers
        | {
            "count": rng.poisson(1.5, rows).astype(float),
            "flag": (rng.random(rows) < 0.3).astype(float),
            "plan": rng.choice(list("abc"), rows, p=[0.6, 0.3, 0.1]),
            "city": rng.integers(0, 60, rows).astype(str),
        }
    )


KINDS = {f"n{i}": "numeric" for i in range(4)} | {
    "count": "numeric",
    "flag": "categorical",
    "plan": "categorical",
    "city": "categorical",
}


@pytest.mark.parametrize("correlated", [False, True])
def test_an_undrifted_window_raises_a_signal_no_oftener_than_alpha(correlated):
    """Without the help of the effect size, so that the tests alone hold the rate of all columns together."""
    rng, windows, alpha = np.random.default_rng(4), 150, 0.05
    alarms = 0
    for _ in range(windows):
        data = Compared(mixed(rng, 400, correlated), mixed(rng, 150, correlated), KINDS)
        alarms += any(column.drifted for column in column_drifts(data, alpha, min_effect=0.0))
    assert alarms <= stats.binom.ppf(0.999, windows, alpha)


def test_one_drifted_column_of_eight_is_found():
    rng, found = np.random.default_rng(5), 0
    for _ in range(20):
        current = mixed(rng, 300, False)
        current["n2"] += 0.5
        columns = column_drifts(Compared(mixed(rng, 1000, False), current, KINDS), 0.01, 0.1)
        found += [column.column for column in columns if column.drifted] == ["n2"]
    assert found >= 18


def test_a_sure_but_small_difference_is_no_drift():
    rng = np.random.default_rng(6)
    a, b = rng.normal(0, 1, 5000), rng.normal(0.18, 1, 5000)
    data = Compared(pd.DataFrame({"x": a}), pd.DataFrame({"x": b}), {"x": "numeric"})
    (column,) = column_drifts(data, 0.01, 0.1)
    assert column.p_value < 1e-4
    assert column.psi < 0.1
    assert not column.drifted


def test_a_quiet_window_is_quiet_and_names_every_column(world):
    result = DriftMonitor(world.reference, SETTINGS).calculate(world.sample(400))
    assert result.signal is False
    tested = {column["column"] for column in result.evidence["columns"]}
    assert tested == {"income", "age", "plan", "member", PREDICTION}  # dates pass, which is no drift


def test_a_moved_feature_moves_the_answers_too(world):
    result = DriftMonitor(world.reference, SETTINGS).calculate(world.sample(400, income=2.0))
    assert result.signal is True
    assert set(result.evidence["drifted"]) == {"income", PREDICTION}
    assert "income" in result.message


def test_a_moved_category_is_found(world):
    result = DriftMonitor(world.reference, SETTINGS).calculate(world.sample(400, premium=0.5))
    assert "plan" in result.evidence["drifted"]


def test_a_column_without_values_is_left_to_the_quality_monitor(world):
    sample = world.sample(300)
    empty = replace(sample, features=sample.features.assign(income=np.nan))
    tested = compared(world.reference, empty).kinds
    assert "income" not in tested
    assert "age" in tested


def test_answers_of_a_multiclass_model_are_compared_as_labels(world):
    def answers(rows: int, third: float) -> Sample:
        rng = np.random.default_rng(rows)
        codes = rng.choice(3, rows, p=[0.9 - third, 0.1, third])
        outputs = np.eye(3)[codes] * 0.8 + 0.1
        outputs[0] = np.nan
        return Sample(world.sample(rows).features, outputs, codes.astype(float))

    held_out = answers(600, 0.1)
    reference = Reference("multiclass", world.reference.fields, ("a", "b", "c"), world.reference.train, held_out)
    monitor = DriftMonitor(reference, SETTINGS)
    assert PREDICTION not in monitor.calculate(answers(400, 0.1)).evidence["drifted"]
    assert PREDICTION in monitor.calculate(answers(401, 0.5)).evidence["drifted"]
    assert set(compared(reference, held_out).reference[PREDICTION].dropna()) == {"a", "b", "c"}
