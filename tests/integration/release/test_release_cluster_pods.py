"""The deployment pipeline on the cluster targets, with the pods that the manifests describe started and called."""

from __future__ import annotations

import random
from collections import Counter

import httpx
import pytest

from include.registry.models import Registry
from include.release import targets
from include.release.cluster import target as cluster_target
from include.release.policies import settled
from include.release.target import NotReadyError, same_traffic
from include.specs import load_platform
from tests.integration.release.conftest import Factory
from tests.integration.release.server_pods import ServerPod
from tests.unit.release.fake_cluster import FakeCluster, serving

CALLS = 100
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(params=["seldon-standard", "kserve-serverless"])
def way(request):
    return request.param


@pytest.fixture
def cluster(tmp_path, mlflow_server):
    environment = {"FACTORY_MLFLOW_URI": mlflow_server, "FACTORY_SERVING_KEY": "the key"}
    (tmp_path / "pods").mkdir()

    def made(number, workload, _version):
        return ServerPod(tmp_path / "pods", environment, number, workload)

    fake = FakeCluster({}, make_pod=made)
    yield fake
    for pod in fake.pods.values():
        pod.stop()


@pytest.fixture
def factory(way, cluster, tmp_path, mlflow_server, monkeypatch):
    """Return a factory whose steps release to the cluster."""
    monkeypatch.setattr(cluster_target, "POLL_SECONDS", 0.2)
    (tmp_path / "models").mkdir()
    name, mode = way.split("-")
    with serving(cluster, tmp_path) as config:
        for key, value in {
            "HOME": str(tmp_path / "home"),
            "MODELS_DIR": str(tmp_path / "models"),
            "MLFLOW_URI": mlflow_server,
            "SERVING_KEY": "the key",
            "SERVING_TARGET": name,
            "KUBERNETES__IN_CLUSTER": "false",
            "KUBERNETES__CONFIG_FILE": str(config),
            "CLUSTER_TARGET__KSERVE_MODE": mode,
            "CLUSTER_TARGET__READY_SECONDS": "120",
        }.items():
            monkeypatch.setenv(f"FACTORY_{key}", value)
        load_platform.cache_clear()
        yield Factory(load_platform(), tmp_path / "models")
    load_platform.cache_clear()


def shares(cluster, model, calls=CALLS):
    """Return which versions answered so many callers, whom the manifest's traffic shares out."""
    versions, weights = zip(*cluster.weights.items(), strict=True)
    seen = Counter()
    for version in random.choices(versions, weights, k=calls):
        (pod,) = [pod for pod in cluster.pods.values() if pod.version == version]
        body = {"features": {"age": 33.0, "plan": "basic"}}
        status, answer = pod.answer("POST", f"/v1/models/{model}/predict", body, {})
        seen[httpx.Response(status, content=answer).json()["version"] if status == 200 else "nobody"] += 1
    return seen


def test_a_life_of_releases(way, factory, cluster, monkeypatch):
    model = factory.spec(f"pods_{way.replace('-', '_')}", bake="0.5s")
    target, registry = targets.open_target(factory.platform), Registry(factory.platform)
    factory.train(model, 1)
    first = factory.release(model, 1)
    assert [result.status for result in first] == ["done"] * 5, first[-1].message
    assert shares(cluster, model, 10) == {"1": 10}

    factory.train(model, 2)
    run = "model_deployment.2"
    assert factory.run("plan_release", model, run).status == "done"
    assert shares(cluster, model, 10) == {"1": 10}, "a version that is only deployed gets no traffic"
    for percent, low, high in ((10, 0.01, 0.25), (50, 0.3, 0.7), (100, 1, 1)):
        shifted = factory.run("shift", model, run, f"shift_{percent}")
        assert (shifted.status, shifted.values["requests"] >= 20) == ("done", True), shifted.message
        assert low <= shares(cluster, model)["2"] / CALLS <= high
    counted = target.statistics(model).variants["challenger"]
    assert counted.requests >= CALLS
    assert counted.positives is not None
    assert counted.latency_ms["p95"] > 0
    assert factory.run("promote", model, run).status == "done"
    assert shares(cluster, model, 10) == {"2": 10}

    factory.train(model, 3, broken=True)
    monkeypatch.setattr("include.steps.plan_release.PRE_FLIGHT_PROBES", 0)
    refused = factory.release(model, 3)
    assert [result.status for result in refused] == ["done", "rejected"], refused[-1].message
    assert "version 2 answers everything again" in refused[-1].message
    assert factory.run("rollback", model, "model_deployment.3").values["restored"] == 2
    assert same_traffic(target.current(model), settled(model, 2))
    assert shares(cluster, model, 10) == {"2": 10}
    assert registry.get(model, "champion").number == 2

    with pytest.raises(NotReadyError, match=rf"exit code 3; its last lines: (.|\n)*'{model}' has no version 9"):
        target.deploy(model, 9)
    assert shares(cluster, model, 10) == {"2": 10}
    target.withdraw(model)
    assert (target.current(model), cluster.pods) == (None, {})
