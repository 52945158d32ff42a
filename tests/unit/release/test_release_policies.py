"""What a policy does to the traffic, written out."""

from __future__ import annotations

import pytest

from include.release.policies import compile_release, release_steps, route_at, settled
from include.release.target import same_traffic
from include.specs.operation import Release
from include.store.routes import Route, Variant


def shown(routes):
    return [[f"{v.name}={v.version}:{v.weight}" for v in route.variants] for route in routes]


GOLDEN = [
    (
        Release(policy="canary", steps=(10, 50, 100)),
        3,
        [
            ["champion=3:90", "challenger=4:10"],
            ["champion=3:50", "challenger=4:50"],
            ["champion=3:0", "challenger=4:100"],
        ],
    ),
    (
        Release(policy="canary", steps=(1, 100)),
        3,
        [["champion=3:99", "challenger=4:1"], ["champion=3:0", "challenger=4:100"]],
    ),
    (Release(policy="blue_green"), 3, [["champion=3:0", "challenger=4:100"]]),
    (Release(policy="canary"), None, [["challenger=4:100"]]),
    (Release(policy="blue_green"), None, [["challenger=4:100"]]),
    (Release(policy="blue_green"), 4, [["challenger=4:100"]]),
]


@pytest.mark.parametrize(("release", "champion", "expected"), GOLDEN)
def test_a_policy_compiles_to_these_routes(release, champion, expected):
    routes = compile_release(release, "m", champion, 4)
    assert shown(routes) == expected
    assert {route.model for route in routes} == {"m"}


@pytest.mark.parametrize("percent", range(1, 101))
def test_every_share_makes_a_valid_route(percent):
    route = route_at("m", percent, 3, 4)
    assert sum(variant.weight for variant in route.variants) == 100


def test_the_challenger_only_gains():
    for policy in ("canary", "blue_green"):
        steps = release_steps(Release(policy=policy, steps=(5, 20, 60, 100)), 1)
        assert list(steps) == sorted(steps)
        assert steps[-1] == 100


def test_outside_a_release_the_champion_answers():
    assert shown([settled("m", 7)]) == [["champion=7:100"]]


def test_the_same_traffic_is_recognised_whatever_the_revision_and_the_order():
    one = route_at("m", 10, 3, 4)
    assert same_traffic(one, Route("m", one.variants[::-1], revision=9))
    assert not same_traffic(one, route_at("m", 20, 3, 4))
    assert not same_traffic(one, Route("m", (*one.variants, Variant("shadow", "5", 0, shadow=True))))
    assert not same_traffic(one, None)
    assert same_traffic(None, None)
