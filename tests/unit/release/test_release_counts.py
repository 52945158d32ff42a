"""Counts of pods: read from an exposition, added, subtracted, and quantiles of what is left."""

from __future__ import annotations

import math

import pytest

from include.release.cluster.counts import Counts, read_counts

EXPOSITION = """\
# TYPE factory_predictions_total counter
factory_predictions_total{model="churn",outcome="answered",variant="v1",version="1"} 95.0
factory_predictions_total{model="churn",outcome="failed",variant="v1",version="1"} 5.0
factory_predictions_total{model="churn",outcome="answered",variant="v2",version="2"} 7.0
factory_predictions_total{model="other",outcome="answered",variant="v1",version="1"} 3.0
# TYPE factory_positive_predictions_total counter
factory_positive_predictions_total{model="churn",variant="v1",version="1"} 40.0
# TYPE factory_prediction_seconds histogram
factory_prediction_seconds_bucket{le="0.001",model="churn",variant="v1",version="1"} 50.0
factory_prediction_seconds_bucket{le="0.01",model="churn",variant="v1",version="1"} 100.0
factory_prediction_seconds_bucket{le="+Inf",model="churn",variant="v1",version="1"} 100.0
factory_prediction_seconds_count{model="churn",variant="v1",version="1"} 100.0
factory_prediction_seconds_sum{model="churn",variant="v1",version="1"} 0.2
"""


def test_an_exposition_is_read_by_model_and_version():
    counts = read_counts(EXPOSITION, "churn", "1")
    assert (counts.requests, counts.errors, counts.positives) == (100, 5, 40)
    assert counts.buckets == {"0.001": 50, "0.01": 100, "+Inf": 100}
    assert read_counts(EXPOSITION, "churn", "2").positives is None
    assert read_counts(EXPOSITION, "nobody", "1") == Counts()


@pytest.mark.parametrize(("q", "expected"), [(0.25, 0.5), (0.5, 1.0), (0.75, 5.5), (0.95, 9.1), (1.0, 10.0)])
def test_quantiles_interpolate_within_a_bucket(q, expected):
    assert math.isclose(read_counts(EXPOSITION, "churn", "1").quantile(q), expected)


def test_the_quantile_of_nothing_is_none_and_beyond_the_last_bound_it_is_that_bound():
    assert Counts().quantile(0.5) is None
    assert Counts(buckets={"0.1": 0, "+Inf": 0}).quantile(0.95) is None
    assert Counts(buckets={"0.1": 1, "2.5": 1, "+Inf": 10}).quantile(0.95) == 2500


def test_what_came_since_is_the_difference():
    now, before = Counts(10, 2, 5, {"1": 8, "+Inf": 10}), Counts(6, 2, 1, {"1": 6, "+Inf": 6})
    assert now.since(before) == Counts(4, 0, 4, {"1": 2, "+Inf": 4})
    assert now.since(None) == now
    assert before.since(now) == before, "fewer than before: the container was started anew"
    assert Counts.of(now.as_dict()) == now


def test_pods_are_added():
    both = Counts(10, 2, None, {"1": 8, "+Inf": 10}) + Counts(5, 1, 3, {"1": 5, "+Inf": 5})
    assert both == Counts(15, 3, 3, {"1": 13, "+Inf": 15})
    assert (Counts() + Counts(1)).positives is None
    assert both.statistics("champion", "1").latency_ms.keys() == {"p50", "p95", "p99"}
