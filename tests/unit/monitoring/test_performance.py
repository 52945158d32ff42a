"""Performance: the interval of a difference, and degradation that is sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from include.evaluation.intervals import Interval
from include.monitoring.performance import PerformanceMonitor, worse_by
from include.monitoring.sample import Reference, Sample
from include.specs.operation import Monitoring


def wilson(successes: int, rows: int) -> Interval:
    low, high = stats.binomtest(successes, rows).proportion_ci(0.95, method="wilson")
    return Interval(successes / rows, low, high)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
)
def test_the_difference_has_the_interval_that_newcombe_published(a, b, expected):
    """Newcombe 1998 (Statistics in Medicine 17, p. 873), table II, method 10, is this method over Wilson's intervals."""
    result = worse_by(wilson(*a), wilson(*b), greater_better=True)
    assert (result.low, min(result.high, 1.0)) == pytest.approx(expected, abs=1e-4)


def test_losses_are_mirrored():
    gain = worse_by(Interval(0.8, 0.7, 0.85), Interval(0.6, 0.5, 0.75), greater_better=True)
    loss = worse_by(Interval(-0.8, -0.85, -0.7), Interval(-0.6, -0.75, -0.5), greater_better=False)
    assert loss == gain


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_a_broken_relation_is_a_degradation(world, metric):
    monitor = PerformanceMonitor(world.reference, Monitoring(), metric)
    quiet, broken = monitor.calculate(world.sample(500)), monitor.calculate(world.sample(500, flipped=0.4))
    assert quiet.signal is False
    assert broken.signal is True
    assert broken.evidence["worse_by"]["low"] > 0.05
    assert metric in broken.message


def test_the_same_population_raises_no_oftener_than_alpha(world):
    """With no degradation allowed, which is the hardest case."""
    alpha, windows = 0.05, 120
    monitor = PerformanceMonitor(world.reference, Monitoring(alpha=alpha, degradation=0.0), "accuracy")
    alarms = sum(bool(monitor.calculate(world.sample(200)).signal) for _ in range(windows))
    assert alarms <= stats.binom.ppf(0.999, windows, alpha)


def test_unlabelled_rows_give_no_verdict(world):
    sample = world.sample(300)
    target = sample.target.copy()
    target[50:] = np.nan
    result = PerformanceMonitor(world.reference, Monitoring(), "roc_auc").calculate(replace(sample, target=target))
    assert result.signal is None
    assert "50 rows" in result.message


def test_one_class_only_gives_no_verdict(world):
    sample = world.sample(300)
    result = PerformanceMonitor(world.reference, Monitoring(), "roc_auc").calculate(
        replace(sample, target=np.zeros(300))
    )
    assert result.signal is None
    assert "not defined" in result.message


def test_errors_of_a_regression_degrade_relatively(world):
    def answered(rows: int, noise: float) -> Sample:
        rng = np.random.default_rng(rows)
        truth = rng.normal(1000, 300, rows)
        return Sample(pd.DataFrame(index=range(rows)), truth + rng.normal(0, noise, rows), truth)

    reference = Reference("regression", (), None, pd.DataFrame(), answered(800, 100.0))
    monitor = PerformanceMonitor(reference, Monitoring(degradation=0.5), "rmse")
    assert monitor.calculate(answered(500, 120.0)).signal is False  # worse by a fifth
    assert monitor.calculate(answered(501, 200.0)).signal is True
    assert monitor.calculate(answered(500, 120.0)).evidence["allowed"] == pytest.approx(50, rel=0.1)
