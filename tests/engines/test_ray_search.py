"""The search with its trials on a real Ray cluster of two nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from include.automl.ray_pool import RayPool
from include.automl.search import Plan, search
from include.engines.errors import EngineError
from include.engines.ray_cluster import connect
from tests.integration.automl.objectives import Watched


@pytest.fixture
def on_ray(ray_cluster, planned: Callable[..., Plan]) -> Callable[..., Plan]:
    connect(ray_cluster.address)
    return partial(planned, make_pool=partial(RayPool, address=ray_cluster.address))


def free_cores() -> float:
    import ray

    return ray.available_resources().get("CPU", 0.0)


def wait_until_free(cores: float = 2.0) -> None:
    deadline = time.monotonic() + 30
    while free_cores() < cores:
        assert time.monotonic() < deadline, "the search left actors behind"
        time.sleep(0.2)


def test_it_finds_what_the_search_of_one_machine_finds(on_ray, planned: Callable[..., Plan]) -> None:
    there = search(on_ray("ray", {"parallel": 1}))
    here = search(planned("here", {"parallel": 1}))
    assert [r.configuration for r in there.records] == [r.configuration for r in here.records]
    assert [r.scores for r in there.records] == [pytest.approx(r.scores, abs=1e-6) for r in here.records]
    assert there.winner.number == here.winner.number
    assert there.file.is_file()
    np.testing.assert_array_equal(there.oof.rows, here.oof.rows)
    np.testing.assert_allclose(there.oof.outputs, here.oof.outputs, atol=1e-6)
    wait_until_free()


def test_a_lost_worker_loses_only_its_trial(on_ray, tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    result = search(on_ray(objective=Watched(tmp_path / "watched", 1, "die")))
    failed = [record for record in result.records if record.state == "failed"]
    assert len(failed) == 1 and "Ray worker was lost" in failed[0].reason
    assert len(result.records) == 6 and result.winner.state == "done"
    wait_until_free()


def test_a_trial_that_breaks_says_why(on_ray, tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    result = search(on_ray(objective=Watched(tmp_path / "watched", 1, "break")))
    failed = [record for record in result.records if record.state == "failed"]
    assert [record.reason for record in failed] == ["ValueError: a broken trial"]


def test_what_runs_at_the_deadline_is_ended(on_ray, tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    result = search(on_ray(objective=Watched(tmp_path / "watched", 5, "hang"), budget=25.0))
    states = [record.state for record in result.records]
    assert states.count("done") == 1 and "cancelled" in states
    assert result.seconds < 60
    wait_until_free()


def test_a_cluster_of_other_versions_is_named(ray_cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray.shutdown()
    monkeypatch.setattr(ray, "__version__", "2.9.0")
    with pytest.raises(EngineError, match=r"this process Ray 2\.9\.0 on Python .*requirements-engines"):
        connect(ray_cluster.address)


def test_a_cluster_that_is_away_is_named() -> None:
    ray = pytest.importorskip("ray", reason="Ray is in requirements-engines.txt")
    ray.shutdown()
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1.*FACTORY_RAY_ADDRESS"):
        connect("127.0.0.1:1")
