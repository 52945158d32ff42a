"""Quality: broken input is found, and healthy input raises nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from include.monitoring.quality import QualityMonitor
from include.monitoring.sample import Sample
from include.specs.operation import Monitoring


@pytest.fixture
def monitor(world) -> QualityMonitor:
    return QualityMonitor(world.reference, Monitoring(alpha=0.05))


def failed(monitor: QualityMonitor, sample: Sample) -> list[tuple[str, str]]:
    result = monitor.calculate(sample)
    assert result.signal is bool(result.evidence["failed"])
    return [(check["column"], check["fault"]) for check in result.evidence["failed"]]


def test_healthy_windows_raise_no_oftener_than_alpha(world, monitor):
    alarms = sum(bool(failed(monitor, world.sample(150))) for _ in range(100))
    assert alarms <= stats.binom.ppf(0.999, 100, 0.05)


def test_missing_values_that_were_always_missing_are_no_fault(world, monitor):
    assert world.reference.held_out.features["age"].isna().any()
    assert ("age", "missing") not in failed(monitor, world.sample(300))


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("income", np.nan, "missing"),
        ("plan", None, "missing"),
        ("plan", "platinum", "unseen category"),
        ("income", 1e6, "out of range"),
    ],
)
def test_broken_rows_are_found(world, monitor, column, value, fault):
    sample = world.sample(300)
    features = sample.features.copy()
    features.loc[features.index[:45], column] = value
    assert failed(monitor, replace(sample, features=features)) == [(column, fault)]


def test_a_few_broken_rows_are_no_signal(world, monitor):
    sample = world.sample(300)
    features = sample.features.copy()
    features.loc[features.index[:3], "plan"] = "platinum"
    assert failed(monitor, replace(sample, features=features)) == []


def test_unreadable_values_count_as_such_and_not_as_missing(world, monitor):
    sample = world.sample(300)
    features = sample.features.copy()
    features.loc[features.index[:60], "income"] = np.nan
    broken = replace(sample, features=features, invalid={"income": 60})
    assert failed(monitor, broken) == [("income", "invalid")]
