"""A step is watched until it has baked and enough was answered; what is wrong ends it at once."""

from __future__ import annotations

import pytest

from include.release.health import Counts
from include.release.policies import route_at
from include.release.target import TargetError
from include.release.watch import Watch
from include.specs.operation import Experiment, Release
from tests.unit.release.simulated import Behaviour, SimulatedTarget

ROWS = [{"age": age} for age in range(50)]


def watch(target, rows=ROWS, experiment=None, earlier=None, percent=50, champion=1, **release):
    target.route(route_at("m", percent, champion, 2))
    settings = Release.model_validate({"bake": "0s", **release})
    return Watch(target, "m", settings, experiment, earlier or {}, lambda: rows).run()


def target(traffic=0, **challenger):
    return SimulatedTarget({1: Behaviour(), 2: Behaviour(**challenger)}, traffic=traffic)


def test_traffic_alone_is_enough_where_there_is_some():
    simulated = target(traffic=40)
    seen = watch(simulated, min_requests=20)
    assert (seen.objection, seen.challenger.requests, seen.probes, simulated.probed) == (None, 20, 0, [])


def test_probes_make_up_for_missing_traffic():
    simulated = target()
    seen = watch(simulated, min_requests=45)
    assert (seen.objection, seen.challenger.requests, seen.probes) == (None, 45, 45)
    assert {variant for variant, _ in simulated.probed} == {"challenger"}


def test_nothing_is_asked_for_so_nothing_is_sent():
    assert watch(target(), min_requests=0).challenger.requests == 0


def test_the_champion_is_probed_as_much_when_they_are_compared():
    simulated = target()
    seen = watch(simulated, min_requests=30, experiment=Experiment())
    assert (seen.challenger.requests, seen.champion.requests, seen.probes) == (30, 30, 60)
    assert seen.finding.comparison.difference == 0.0


def test_a_first_release_is_compared_with_nobody():
    seen = watch(target(), min_requests=10, experiment=Experiment(), percent=100, champion=None)
    assert (seen.champion, seen.finding, seen.objection) == (None, None, None)


def test_errors_end_the_step():
    seen = watch(target(fails_every=3), min_requests=30)
    assert "requests failed" in seen.objection


def test_many_errors_end_the_step_before_its_time():
    seen = watch(target(traffic=100, fails_every=2), bake="1h")
    assert "requests failed" in seen.objection


def test_slowness_ends_the_step():
    seen = watch(target(latency_ms=900.0), min_requests=20)
    assert "900.0 ms" in seen.objection


def test_a_few_errors_before_enough_was_answered_are_waited_out():
    """One error of four is above the bound of 10 %, one of 24 is not: the verdict falls when enough was answered."""
    simulated = SimulatedTarget({1: Behaviour(), 2: Behaviour(fails_every=30, asked=26)}, traffic=8)
    seen = watch(simulated, min_requests=20, max_error_rate=0.1)
    assert (seen.objection, seen.challenger.errors) == (None, 1)


def test_earlier_steps_count_in_the_experiment():
    experiment = Experiment(metric="error_rate", max_difference=0.02)
    bounds = {"min_requests": 20, "max_error_rate": 1.0, "experiment": experiment}
    assert watch(target(fails_every=5), **bounds).objection is None
    earlier = {"champion": Counts(500, 0), "challenger": Counts(500, 100)}
    assert "error_rate differs" in watch(target(fails_every=5), earlier=earlier, **bounds).objection


def test_a_target_that_counts_no_probes_does_not_hold_the_step_for_ever():
    simulated = SimulatedTarget({1: Behaviour(), 2: Behaviour()}, counts_probes=False)
    with pytest.raises(TargetError, match="counted 0 requests of 'm' after"):
        watch(simulated, min_requests=5)


def test_no_rows_to_probe_with_is_said():
    with pytest.raises(TargetError, match="no rows to probe with; set"):
        watch(target(), rows=[], min_requests=5)


def test_a_route_that_somebody_else_changed_is_noticed():
    simulated = target()
    watched = Watch(simulated, "m", Release.model_validate({"bake": "0s"}), None, {}, lambda: ROWS)
    simulated.route(route_at("m", 100, None, 1))
    simulated._counts = {"champion": simulated._counts["challenger"]}
    with pytest.raises(TargetError, match="let one release run at a time"):
        watched.run()
