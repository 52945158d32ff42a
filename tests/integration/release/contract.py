"""What every target must do: a reusable test class. A new target subclasses it and gives the fixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from include.release.policies import route_at, settled
from include.release.target import NotReadyError, Target, TargetError, same_traffic

NOWHERE = 9999


class TargetContract:
    """Give ``target``, ``model`` (with versions 1 and 2 to deploy, and no 9999) and ``rows`` that it can answer."""

    @pytest.fixture
    def target(self) -> Target:
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def rows(self) -> Sequence[Mapping[str, Any]]:
        raise NotImplementedError

    @pytest.fixture
    def keeps_idle(self) -> bool:
        """Tell whether a version of the route that has no traffic keeps answering probes."""
        return True

    def test_a_model_that_was_never_released_has_no_route(self, target):
        assert target.current("never_released") is None
        with pytest.raises(TargetError):
            target.statistics("never_released")

    def test_a_version_is_deployed_without_traffic_as_often_as_one_likes(self, target, model, rows):
        before = target.current(model)
        for _ in range(2):
            assert target.deploy(model, 1) >= 0
        assert same_traffic(target.current(model), before)
        report = target.probe(model, rows[:3], version=1)
        assert (report.sent, report.errors) == (3, 0)

    def test_a_version_that_there_is_not_is_refused(self, target, model):
        with pytest.raises(NotReadyError):
            target.deploy(model, NOWHERE)

    def test_the_traffic_goes_where_it_is_told(self, target, model):
        first = target.route(settled(model, 1))
        assert same_traffic(target.current(model), settled(model, 1))
        second = target.route(route_at(model, 10, 1, 2))
        assert same_traffic(target.current(model), route_at(model, 10, 1, 2))
        assert second.revision > first.revision
        assert target.current(model).revision == second.revision

    def test_a_route_that_cannot_be_is_refused_and_the_former_one_stays(self, target, model, rows):
        former = target.route(settled(model, 1))
        with pytest.raises(NotReadyError):
            target.route(route_at(model, 50, 1, NOWHERE))
        assert target.current(model) == former
        assert target.probe(model, rows[:2]).errors == 0

    def test_a_model_is_taken_out_and_comes_back(self, target, model, rows):
        before = target.route(settled(model, 1))
        for _ in range(2):
            target.withdraw(model)
            assert target.current(model) is None
        after = target.route(settled(model, 1))
        assert (after.revision > before.revision, target.probe(model, rows[:2]).errors) == (True, 0)

    def test_statistics_count_by_variant_since_the_revision(self, target, model, rows):
        routed = target.route(route_at(model, 10, 1, 2))
        target.probe(model, rows[:5], variant="challenger")
        target.probe(model, rows[:3], variant="champion")
        statistics = target.statistics(model)
        assert statistics.revision == routed.revision
        counted = {name: (v.version, v.requests, v.errors) for name, v in statistics.variants.items()}
        assert counted == {"challenger": ("2", 5, 0), "champion": ("1", 3, 0)}
        assert statistics.variants["challenger"].latency_ms["p95"] > 0

        target.route(route_at(model, 50, 1, 2))
        assert [v.requests for v in target.statistics(model).variants.values()] == [0, 0]
        assert [v.latency_ms["p95"] for v in target.statistics(model).variants.values()] == [None, None]

    def test_a_variant_without_traffic_can_be_probed(self, target, model, rows, keeps_idle):
        target.route(route_at(model, 100, 1, 2))
        answered = 4 if keeps_idle else 0
        assert target.probe(model, rows[:4], variant="champion").errors == 4 - answered
        assert target.statistics(model).variants["champion"].requests == answered
        target.route(settled(model, 1))
        assert target.probe(model, rows[:4], variant="champion").errors == 0

    def test_a_row_that_is_not_answered_is_reported_and_no_exception(self, target, model, rows):
        target.route(settled(model, 1))
        report = target.probe(model, [rows[0], {}, rows[1]], variant="champion")
        assert (report.sent, report.errors) == (3, 1)
        assert report.reason
