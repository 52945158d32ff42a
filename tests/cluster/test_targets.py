"""Releases on a real cluster: the published definitions, our image in real pods, and steps that run the pipeline.

Seldon Core's and KServe's controllers are played by `controller_loop`: the pods that a manifest describes are started
and called. The registry is a real MLflow server that the pods fetch their version from.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.registry.models import Registry
from include.release.policies import settled
from include.release.target import NotReadyError, same_traffic
from include.release.targets import open_target
from include.specs import load_platform
from tests.cluster.conftest import Cluster
from tests.cluster.controller_loop import ControllerLoop
from tests.cluster.controllers import KServeController, SeldonController
from tests.integration.conftest import free_port, running
from tests.integration.release.conftest import Factory
from tests.unit.release.crds import crd_folder, definition

IMAGE = os.environ.get("FACTORY_TEST_SERVING_IMAGE", "model-factory/serving:latest")
KEY = "a key of this test"
CALLS = 200
pytestmark = pytest.mark.timeout(900)
WAYS = {
    "seldon": ("seldon", "standard", SeldonController),
    "kserve-standard": ("kserve", "standard", KServeController),
    "kserve-serverless": ("kserve", "serverless", KServeController),
}


@pytest.fixture(scope="module")
def registry_uri(host_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URI of a real MLflow server that pods reach."""
    folder, uri = tmp_path_factory.mktemp("mlflow"), f"http://{host_address}:{free_port()}"
    command = [
        str(Path(sys.executable).parent / "mlflow"), "server", "--workers", "1",
        "--host", host_address, "--port", uri.rpartition(":")[2], "--allowed-hosts", "*",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        with running(command, f"{uri}/health", folder / "server.log"):
            yield uri


@pytest.fixture(scope="module")
def definitions(cluster: Cluster) -> Iterator[None]:
    """Make the cluster know both kinds; what was not there before is taken away again."""
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    api, folder, made = client.ApiextensionsV1Api(), crd_folder(), []
    for plural, group in (
        ("seldondeployments", "machinelearning.seldon.io"), ("inferenceservices", "serving.kserve.io"),
    ):  # fmt: skip
        try:
            api.create_custom_resource_definition(_short(definition(folder, plural, group)))
            made.append(f"{plural}.{group}")
        except ApiException as error:
            assert error.status == 409, error
    try:
        yield
    finally:
        for name in made:
            api.delete_custom_resource_definition(name)


def _short(node: Any) -> Any:
    """Return a definition without its prose, for with it it is larger than what etcd keeps, and fit for old API servers.

    They refuse the default "" and a list of anything, which Seldon's graph has below its root.
    """
    if isinstance(node, list):
        return [_short(one) for one in node]
    if not isinstance(node, dict):
        return node
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    short = {key: anything if (key, value) == ("items", {}) else _short(value) for key, value in node.items()}
    return {key: value for key, value in short.items() if not (key == "description" and isinstance(value, str))
            and (key, value) != ("default", "")}  # fmt: skip


@pytest.fixture(scope="module")
def environment(cluster: Cluster, registry_uri: str) -> None:
    """Give the pods their settings and their key by reference, as a factory's namespace does."""
    cluster.api.create_namespaced_config_map(
        cluster.namespace, {"metadata": {"name": "factory-config"}, "data": {"FACTORY_MLFLOW_URI": registry_uri}}
    )
    cluster.api.create_namespaced_secret(
        cluster.namespace, {"metadata": {"name": "factory-secrets"}, "stringData": {"FACTORY_SERVING_KEY": KEY}}
    )
    cluster.api.create_namespaced_service_account(cluster.namespace, {"metadata": {"name": "factory-serving"}})


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ingress(way: str, cluster: Cluster, definitions: None, environment: None) -> Iterator[ControllerLoop]:
    """Run the controller of the way's kind, and give what shares callers out."""
    loop = ControllerLoop(WAYS[way][2](), cluster.namespace)
    loop.start()
    yield loop
    loop.stop()
    assert loop.errors == []


@pytest.fixture
def factory(
    way: str, cluster: Cluster, registry_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Factory]:
    """Return a factory whose steps release to the cluster."""
    (tmp_path / "models").mkdir()
    name, mode, _ = WAYS[way]
    settings = {
        "FACTORY_HOME": str(tmp_path / "home"),
        "FACTORY_MODELS_DIR": str(tmp_path / "models"),
        "FACTORY_MLFLOW_URI": registry_uri,
        "FACTORY_SERVING_KEY": KEY,
        "FACTORY_SERVING_TARGET": name,
        "FACTORY_KUBERNETES__IN_CLUSTER": "false",
        "FACTORY_KUBERNETES__CONFIG_FILE": cluster.kubeconfig,
        "FACTORY_KUBERNETES__NAMESPACE": cluster.namespace,
        "FACTORY_CLUSTER_TARGET__IMAGE": IMAGE,
        "FACTORY_CLUSTER_TARGET__KSERVE_MODE": mode,
        "FACTORY_CLUSTER_TARGET__REQUESTS": '{"cpu": "50m", "memory": "256Mi"}',
        "FACTORY_CLUSTER_TARGET__READY_SECONDS": "240",
    }
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    load_platform.cache_clear()
    yield Factory(load_platform(), tmp_path / "models")
    load_platform.cache_clear()


def shares(ingress: ControllerLoop, model: str, calls: int = CALLS) -> Counter[str]:
    """Return which versions answered so many callers; None for those that nobody answered."""
    name, path = model.replace("_", "-"), f"/v1/models/{model}/predict"
    body = {"features": {"age": 33.0, "plan": "basic"}}
    ingress.settle()
    answers = [ingress.send(name, path, body)[1] for _ in range(calls)]
    return Counter(answer["version"] if answer else "nobody" for answer in answers)


def test_a_life_of_releases(way, factory, ingress, monkeypatch):
    model, target = f"life_{way.replace('-', '_')}", None
    factory.spec(model, bake="1s")
    target, registry = open_target(factory.platform), Registry(factory.platform)
    try:
        factory.train(model, 1)
        first = factory.release(model, 1)
        assert [result.status for result in first] == ["done"] * 5, first[-1].message
        assert shares(ingress, model, 20) == {"1": 20}

        factory.train(model, 2)
        run = "model_deployment.2"
        planned = factory.run("plan_release", model, run)
        assert planned.status == "done", planned.message
        assert shares(ingress, model, 20) == {"1": 20}, "a version that is only deployed gets no traffic"
        for percent, low, high in ((10, 0.03, 0.2), (50, 0.38, 0.62), (100, 1, 1)):
            shifted = factory.run("shift", model, run, f"shift_{percent}")
            assert (shifted.status, shifted.values["requests"] >= 20) == ("done", True), shifted.message
            seen = shares(ingress, model)
            print(f"{way}: {percent} % asked, {seen['2'] / CALLS:.1%} seen of {CALLS} callers")
            assert low <= seen["2"] / CALLS <= high, seen
            assert seen["nobody"] == 0
        counted = target.statistics(model).variants["challenger"]
        assert counted.requests >= CALLS
        assert counted.latency_ms["p95"] > 0
        assert factory.run("promote", model, run).status == "done"
        assert shares(ingress, model, 20) == {"2": 20}

        factory.train(model, 3, broken=True)
        monkeypatch.setattr("include.steps.plan_release.PRE_FLIGHT_PROBES", 0)
        refused = factory.release(model, 3)
        assert [result.status for result in refused] == ["done", "rejected"]
        assert "version 3 at 10 % does not do well" in refused[-1].message
        assert "version 2 answers everything again" in refused[-1].message
        assert factory.run("rollback", model, "model_deployment.3").values["restored"] == 2
        assert same_traffic(target.current(model), settled(model, 2))
        assert shares(ingress, model, 20) == {"2": 20}
        assert registry.get(model, "champion").number == 2

        factory.spec(model, policy="blue_green", bake="1s")
        planned = factory.run("plan_release", model, "model_deployment.4", version=1)
        assert (planned.status, planned.values["steps"]) == ("done", [100]), planned.message
        for step, task in (("shift", "shift_100"), ("promote", "promote")):
            assert factory.run(step, model, "model_deployment.4", task).status == "done"
        assert shares(ingress, model, 20) == {"1": 20}
    finally:
        target.withdraw(model)
    assert target.current(model) is None


def test_what_cannot_be_is_said_and_changes_nothing(factory, ingress, cluster):
    model = factory.spec(f"refused_{os.urandom(2).hex()}")
    target = open_target(factory.platform)
    with pytest.raises(NotReadyError, match=rf"exit code 3; its last lines: .*'{model}' has no version 9"):
        target.deploy(model, 9)
    assert target.current(model) is None

    settings = factory.platform.cluster_target.model_copy(update={"image": "model-factory/nowhere:1"})
    other = factory.platform.model_copy(update={"cluster_target": settings})
    with pytest.raises(NotReadyError, match=r"ImagePullBackOff for image \S*nowhere.*cluster_target.image"):
        open_target(other).deploy(model, 1)
    deadline = time.monotonic() + 90
    while cluster.api.list_namespaced_pod(cluster.namespace, label_selector=f"model-factory/model={model}").items:
        assert time.monotonic() < deadline, "what could not start was left behind"
        time.sleep(0.5)
