"""When a challenger is sent back: bounds, and the experiment whose false alarms are bounded."""

from __future__ import annotations

import pytest

from include.experiments.sequential import compare_proportions
from include.release.health import Counts, compare, objection
from include.release.target import VariantStatistics
from include.specs.operation import Experiment, Release

RELEASE = Release(max_error_rate=0.05, max_latency_ms=100.0)


def did(requests, errors=0, p95=10.0):
    return VariantStatistics("challenger", "2", requests, errors, {"p95": p95})


@pytest.mark.parametrize(
    ("statistics", "baked", "objects"),
    [
        (did(100), True, False),
        (did(100, errors=5), True, False),
        (did(100, errors=6), True, True),
        (did(100, errors=6), False, True),
        (did(20, errors=4), False, False),
        (did(20, errors=4), True, True),
        (did(1000, errors=40), False, False),
        (did(100, p95=100.0), True, False),
        (did(100, p95=100.1), True, True),
        (did(100, p95=100.1), False, False),
        (did(0, p95=None), True, False),
    ],
)
def test_bounds(statistics, baked, objects):
    assert (objection(RELEASE, statistics, baked) is not None) == objects


def test_an_objection_names_the_figure_the_bound_and_the_setting():
    assert objection(RELEASE, did(20, errors=3), True) == (
        "3 of 20 requests failed (15.0%); the bound is 5.0% (release.max_error_rate)"
    )
    assert "120.0 ms (p95 of 20 requests); the bound is 100 ms" in str(objection(RELEASE, did(20, p95=120.0), True))


def test_more_errors_than_the_champion_end_the_release():
    experiment = Experiment(metric="error_rate", max_difference=0.02)
    finding = compare(experiment, Counts(2000, 10), Counts(2000, 200))
    assert finding.objection is not None
    assert "its error_rate differs from the champion's by +9.5%" in finding.objection
    assert compare(experiment, Counts(2000, 200), Counts(2000, 10)).objection is None


def test_positives_count_on_either_side_and_out_of_the_answers():
    experiment = Experiment(metric="positive_rate", max_difference=0.1)
    assert compare(experiment, Counts(2000, 0, 1000), Counts(2000, 0, 1400)).objection
    assert compare(experiment, Counts(2000, 0, 1000), Counts(2000, 0, 600)).objection
    assert compare(experiment, Counts(2000, 0, 1000), Counts(2000, 0, 1050)).objection is None
    answered = compare(experiment, Counts(1000, 0, 500), Counts(1000, 500, 250))
    assert answered.comparison.difference == pytest.approx(0.0)


def test_nothing_seen_is_nothing_found():
    assert compare(Experiment(), Counts(), Counts()).objection is None


def test_the_objection_is_the_always_valid_interval_beyond_the_bound():
    for errors in range(0, 60, 6):
        finding = compare(Experiment(metric="error_rate", max_difference=0.05), Counts(150, 3), Counts(150, errors))
        assert (finding.objection is not None) == (finding.comparison.low > 0.05)
        assert finding.comparison == compare_proportions(3, 150, errors, 150, alpha=0.05)
