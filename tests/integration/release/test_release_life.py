"""Releases on a real model server with a real registry: through, back, and over the body of a killed step."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import httpx
import pytest

from include.registry.models import Registry
from include.release.local import LocalTarget
from include.release.policies import route_at, settled
from include.release.target import TargetError, same_traffic
from include.specs import TemporarilyUnavailableError
from include.store.artifacts import ArtifactStore
from include.store.prediction_log import PredictionLog
from include.store.runs import RunFolder
from tests.integration.release.conftest import FIELDS
from tests.integration.release.contract import TargetContract


@pytest.fixture
def target(factory):
    return LocalTarget(factory.platform)


@pytest.fixture
def registry(factory):
    return Registry(factory.platform)


def answering(factory, model):
    """Return the version that answers a caller."""
    body = {"features": {"age": 33.0, "plan": "pro"}}
    answer = httpx.post(f"{factory.platform.serving_url}/v1/models/{model}/predict", json=body, timeout=30)
    return int(answer.raise_for_status().json()["version"])


def roles(registry, model):
    return {version.number: (version.aliases, version.stage) for version in registry.versions(model)}


def test_two_releases_and_one_that_is_sent_back(factory, target, registry, monkeypatch):
    model = factory.spec("life")
    registered = factory.train(model, 1)
    assert registered.status == "done", registered.message
    assert registered.values["version"] == 1
    assert set(registered.links) == {"MLflow run", "Model version", "Model card"}
    assert roles(registry, model) == {1: (("challenger",), "Staging")}

    first = factory.release(model, 1)
    assert [result.status for result in first] == ["done"] * 5, first[-1].message
    assert first[0].values["steps"] == [100]
    assert "nothing to do at 10 %: there is no champion" in first[1].message
    assert first[3].values["requests"] >= 20
    assert first[4].values == {"version": 1, "previous": None}
    assert roles(registry, model) == {1: (("champion",), "Production")}
    assert same_traffic(target.current(model), settled(model, 1))
    assert answering(factory, model) == 1

    assert factory.train(model, 2).values["semantic"] == "1.1.0"
    second = factory.release(model, 2)
    assert [result.status for result in second] == ["done"] * 5, second[-1].message
    assert [result.values["percent"] for result in second[1:4]] == [10, 50, 100]
    assert all(result.values["comparison"]["objection"] is None for result in second[1:4])
    assert second[3].values["comparison"]["challenger"]["requests"] >= 60
    assert second[4].values == {"version": 2, "previous": 1}
    assert roles(registry, model) == {1: ((), "Archived"), 2: (("champion",), "Production")}
    assert answering(factory, model) == 2

    factory.train(model, 3, broken=True)
    (refused,) = factory.release(model, 3)
    assert refused.status == "rejected"
    assert "probes failed" in refused.message
    assert answering(factory, model) == 2

    monkeypatch.setattr("include.steps.plan_release.PRE_FLIGHT_PROBES", 0)
    planned, shifted = factory.release(model, 4)
    assert (planned.status, shifted.status) == ("done", "rejected")
    assert "version 3 at 10 % does not do well" in shifted.message
    assert "version 2 answers everything again" in shifted.message
    assert same_traffic(target.current(model), settled(model, 2))
    for _ in range(2):
        undone = factory.run("rollback", model, "model_deployment.4")
        assert (undone.status, undone.values["restored"]) == ("done", 2)
        assert "requests failed" in undone.values["reason"]
    assert same_traffic(target.current(model), settled(model, 2))
    assert roles(registry, model)[2] == (("champion",), "Production")
    assert [entry["what"] for entry in registry.get(model, 3).audit] == ["rolled_back"]
    logged = PredictionLog(factory.platform).frame(model)
    assert list(logged["version"]) == ["1", "2", "2"], "probes are not logged, callers are"


def test_a_first_release_that_fails_is_taken_out(factory, target, registry):
    model = factory.spec("first")
    factory.train(model, 1)
    factory.release(model, 1)
    for told in ("the model is taken out", "the model is not served"):
        undone = factory.run("rollback", model, "model_deployment.1")
        assert (undone.status, undone.values["restored"], told in undone.message) == ("done", None, True)
        assert target.current(model) is None


def test_nothing_to_release_is_no_failure(factory):
    model = factory.spec("empty")
    (result,) = factory.release(model, 1)
    assert (result.status, result.values) == ("rejected", {})
    assert "there is no challenger" in result.message


def test_a_candidate_that_the_gates_refused_is_not_registered(factory, registry):
    model = factory.spec("refused")
    result = factory.train(model, 1, verdict="fail")
    assert result.status == "failed"
    assert "only a candidate that passed is registered" in result.message
    assert registry.versions(model) == []


def test_registering_again_changes_nothing_and_promotion_needs_a_shift(factory, registry):
    model = factory.spec("again")
    first = factory.train(model, 1)
    factory.train(model, 2)
    retried = factory.run("register", model, "automl_pipeline.1")
    assert retried.values == first.values
    assert roles(registry, model) == {1: ((), "None"), 2: (("challenger",), "Staging")}
    store = ArtifactStore.of(factory.platform)
    card = RunFolder(store, model, "automl_pipeline.1").path("register", "model_card.md")
    assert b"# again: model card" in store.read_bytes(card)

    factory.run("plan_release", model, "model_deployment.1")
    eager = factory.run("promote", model, "model_deployment.1")
    assert (eager.status, "left no valid result" in eager.message) == ("failed", True)
    assert registry.get(model, "champion") is None


def test_a_killed_step_is_run_again_and_ends_the_same(factory, target, registry):
    model = factory.spec("killed", bake="4s")
    factory.train(model, 1)
    factory.release(model, 1)
    factory.train(model, 2)
    run = "model_deployment.2"
    factory.run("plan_release", model, run)
    command = [sys.executable, "-m", "include.steps", "shift", "--model", model, "--run", run, "--task", "shift_10"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wanted = route_at(model, 10, 1, 2)
    while not same_traffic(target.current(model), wanted):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    revision = target.current(model).revision
    assert roles(registry, model)[1] == (("champion",), "Production")

    retried = factory.run("shift", model, run, "shift_10")
    assert (retried.status, retried.values["requests"] >= 20) == ("done", True)
    assert target.current(model).revision == revision, "a route that is as it should be is left alone"


@pytest.mark.parametrize("then", ["retried", "rolled back"])
def test_a_promotion_that_died_between_route_and_registry(factory, target, registry, monkeypatch, then):
    model = factory.spec("half_" + then.replace(" ", "_"), policy="blue_green")
    factory.train(model, 1)
    factory.release(model, 1)
    factory.train(model, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", lambda *_: (_ for _ in ()).throw(RuntimeError("power cut")))
        results = factory.release(model, 2)
    assert [result.status for result in results] == ["done", "done", "done", "done", "failed"]
    assert "nothing to do at 50 %: the plan says 100 %" in results[2].message
    run = "model_deployment.2"
    if then == "retried":
        assert factory.run("promote", model, run).values == {"version": 2, "previous": 1}
        assert answering(factory, model) == 2
        assert roles(registry, model)[2] == (("champion",), "Production")
    else:
        undone = factory.run("rollback", model, run)
        assert (undone.values["restored"], "power cut" in undone.values["reason"]) == (1, True)
        assert answering(factory, model) == 1
        assert roles(registry, model) == {1: (("champion",), "Production"), 2: (("challenger",), "Staging")}


@pytest.fixture(scope="module")
def three_releases(factory):
    """Return a model whose third version was released over the second, over the first."""
    model = factory.spec("three")
    for number in (1, 2, 3):
        factory.train(model, number)
        assert factory.release(model, number)[-1].status == "done"
    return model


def test_a_version_may_be_named(factory, three_releases):
    again = factory.run("plan_release", three_releases, "model_deployment.again", version=3)
    assert (again.status, "answers everything already" in again.message) == ("rejected", True)
    back = factory.run("plan_release", three_releases, "model_deployment.back", version=1)
    assert (back.values["challenger"], back.values["champion"]) == (1, 3)
    missing = factory.run("plan_release", three_releases, "model_deployment.missing", version=9)
    assert (missing.status, "there are: 3, 2, 1" in missing.message) == ("failed", True)


def test_a_late_rollback_leaves_a_later_release_alone(factory, registry, three_releases):
    late = factory.run("rollback", three_releases, "model_deployment.2")
    assert "another release's by now" in late.message
    assert answering(factory, three_releases) == 3
    assert roles(registry, three_releases)[3] == (("champion",), "Production")


def test_a_rollback_after_the_registry_moved_moves_it_back(factory, registry, three_releases):
    assert factory.run("rollback", three_releases, "model_deployment.3").values["restored"] == 2
    assert answering(factory, three_releases) == 2
    assert roles(registry, three_releases) == {
        1: ((), "Archived"),
        2: (("champion",), "Production"),
        3: ((), "Archived"),
    }


def test_a_server_that_stays_away_is_reported(factory):
    platform = factory.platform.model_copy(update={"serving_url": "http://127.0.0.1:9", "service_retry_seconds": 0.1})
    with pytest.raises(
        TemporarilyUnavailableError, match=r"model server at http://127.0.0.1:9 did not answer .*start it"
    ):
        LocalTarget(platform).current("m")


def test_a_wrong_key_is_reported(factory):
    from pydantic import SecretStr

    platform = factory.platform.model_copy(update={"serving_key": SecretStr("wrong")})
    with pytest.raises(TargetError, match="refuses the serving key; give both sides the same FACTORY_SERVING_KEY"):
        LocalTarget(platform).route(settled("m", 1))


class TestLocalTarget(TargetContract):
    @pytest.fixture
    def target(self, factory):
        return LocalTarget(factory.platform)

    @pytest.fixture(scope="class")
    def model(self, factory):
        name = factory.spec("contract")
        for number in (1, 2):
            factory.train(name, number)
        return name

    @pytest.fixture
    def rows(self):
        return [{FIELDS[0].name: 20.0 + age, FIELDS[1].name: "basic"} for age in range(10)]
