"""The cluster targets keep the contract of all targets, and say what stands in their way: on a fake API server."""

from __future__ import annotations

import threading

import pytest

from include.release import targets
from include.release.cluster import diagnosis
from include.release.cluster import target as cluster_target
from include.release.policies import route_at, settled
from include.release.target import NotReadyError, TargetError, same_traffic
from include.specs import Platform, TemporarilyUnavailableError
from include.specs.platform import ClusterTarget, Kubernetes
from tests.integration.release.contract import TargetContract
from tests.unit.release.fake_cluster import FakeCluster, Version, serving

WAYS = [("seldon", "standard"), ("kserve", "standard"), ("kserve", "serverless")]


@pytest.fixture
def cluster():
    return FakeCluster({"1": Version(), "2": Version(), "3": Version()})


@pytest.fixture(params=WAYS, ids="-".join)
def way(request):
    return request.param


@pytest.fixture
def opened(cluster, way, tmp_path, monkeypatch):
    """Return the target of a way, on the fake cluster."""
    monkeypatch.setattr(cluster_target, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(diagnosis, "UNSCHEDULED_SECONDS", 0.1)
    monkeypatch.setattr(diagnosis, "REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(diagnosis, "PASSING", {"CreateContainerConfigError": 0.1})
    name, mode = way
    with serving(cluster, tmp_path) as config:
        platform = Platform(
            home=tmp_path, serving_target=name, serving_key="the key", service_retry_seconds=0.8,
            kubernetes=Kubernetes(in_cluster=False, config_file=str(config)),
            cluster_target=ClusterTarget(kserve_mode=mode, ready_seconds=1),
        )  # fmt: skip
        yield targets.open_target(platform)


class TestClusterTargets(TargetContract):
    @pytest.fixture
    def target(self, opened):
        return opened

    @pytest.fixture
    def model(self):
        return "churn"

    @pytest.fixture
    def keeps_idle(self, way):
        return way != ("kserve", "serverless")

    @pytest.fixture
    def rows(self):
        return [{"age": age} for age in range(10)]


@pytest.fixture
def released(opened):
    """Return the target with version 1 released."""
    opened.route(settled("churn", 1))
    return opened


def test_the_traffic_is_where_the_route_says_at_every_step(released, cluster):
    for percent in (10, 50, 100):
        released.route(route_at("churn", percent, 1, 2))
        assert {version: weight for version, weight in cluster.weights.items() if weight} == {
            version: weight for version, weight in (("1", 100 - percent), ("2", percent)) if weight
        }
    released.route(settled("churn", 2))
    assert {version for version, weight in cluster.weights.items() if weight} == {"2"}


def test_no_pod_is_started_anew_when_shares_change(released, cluster):
    released.deploy("churn", 2)
    before = {pod.version: pod.uid for pod in cluster.pods.values()}
    for route in (*(route_at("churn", percent, 1, 2) for percent in (10, 50, 100)), settled("churn", 2)):
        released.route(route)
        assert {pod.version: pod.uid for pod in cluster.pods.values()}.items() <= before.items()


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_a_challenger_that_breaks_is_rolled_back_while_it_is_broken(released, cluster, percent):
    released.route(route_at("churn", percent, 1, 2))
    pods = [pod for pod in cluster.pods.values() if pod.version == "2"]
    for pod in pods:
        pod.behaves = Version(exit_code=1, log="broken")
    released.route(settled("churn", 1))
    assert same_traffic(released.current("churn"), settled("churn", 1))
    assert {version: weight for version, weight in cluster.weights.items() if weight} == {"1": 100}


def test_after_a_rollback_the_next_version_may_come(released, cluster):
    released.route(route_at("churn", 10, 1, 2))
    released.route(settled("churn", 1))
    released.deploy("churn", 3)
    released.route(route_at("churn", 50, 1, 3))
    assert {version: weight for version, weight in cluster.weights.items() if weight} == {"1": 50, "3": 50}


def test_a_release_can_be_undone_after_it_was_settled(released, cluster):
    released.route(route_at("churn", 100, 1, 2))
    released.route(settled("churn", 2))
    released.route(settled("churn", 1))
    assert {version for version, weight in cluster.weights.items() if weight} == {"1"}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (Version(waiting=("ImagePullBackOff", "not found")), r"ImagePullBackOff.*cluster_target\.image"),
        (Version(waiting=("ErrImageNeverPull", "absent")), r"load the image on the node"),
        (
            Version(waiting=("CreateContainerConfigError", "secret 'x' not found")),
            r"secret 'x' not found.*ConfigMap and",
        ),
        (
            Version(exit_code=1, log="ValueError: no such file"),
            r"exit code 1; its last lines: ValueError: no such file",
        ),
        (Version(exit_code=3, log="'churn' has no version 4"), r"'churn' has no version 4"),
        (Version(failure="the package needs catboost"), r"says: the package needs catboost"),
        (Version(refused="exceeded quota: pods=4"), r"refuses its pods: exceeded quota: pods=4"),
        (Version(unscheduled="0/1 nodes: Insufficient cpu"), r"no node takes pod .*Insufficient cpu"),
    ],
)
def test_a_version_that_cannot_be_is_refused_with_the_reason(released, cluster, version, said):
    cluster.versions["4"] = version
    former = released.current("churn")
    with pytest.raises(NotReadyError, match=said):
        released.deploy("churn", 4)
    assert released.current("churn") == former
    assert {version for version, weight in cluster.weights.items() if weight} == {"1"}


def test_what_a_new_namespace_lacks_for_a_moment_is_waited_for(released, cluster):
    cluster.versions["4"] = Version(waiting=("CreateContainerConfigError", "failed to sync configmap cache"))
    threading.Timer(0.05, lambda: setattr(cluster.versions["4"], "waiting", None)).start()
    released.deploy("churn", 4)
    assert released.probe("churn", [{"age": 1}], version=4).errors == 0


def test_a_cluster_without_the_product_says_what_to_install(opened, cluster, way):
    cluster.installed = False
    with pytest.raises(
        TargetError, match=rf"knows no \w+: install {'Seldon Core 1' if way[0] == 'seldon' else 'KServe'}"
    ):
        opened.current("churn")


def test_a_cluster_without_a_running_controller_says_so(opened, cluster):
    cluster.controller_runs = False
    with pytest.raises(NotReadyError, match="after 1 s: version 1: it has no pod yet"):
        opened.deploy("churn", 1)
    assert cluster.objects == {}


def test_what_a_webhook_refuses_changes_nothing(released, cluster):
    former = released.current("churn")
    cluster.refuse = lambda _: "admission webhook denied the request: no canaries on Fridays"
    with pytest.raises(NotReadyError, match=r"no canaries on Fridays; nothing was changed"):
        released.route(route_at("churn", 10, 1, 2))
    assert released.current("churn") == former


def test_a_write_of_the_controller_in_between_is_no_conflict(released, cluster):
    def touched():
        (document,) = cluster.objects.values()
        document["metadata"]["resourceVersion"] = "999"

    cluster.interfere = [touched, touched]
    released.route(route_at("churn", 10, 1, 2))
    assert same_traffic(released.current("churn"), route_at("churn", 10, 1, 2))


def test_a_write_whose_answer_got_lost_is_known_again(released, cluster):
    cluster.lose_answers = 1
    routed = released.route(route_at("churn", 10, 1, 2))
    assert released.current("churn") == routed


def test_somebody_elses_release_in_between_is_one(released, cluster):
    def released_elsewhere():
        (document,) = cluster.objects.values()
        annotations = document["metadata"]["annotations"]
        annotations["model-factory/placement"] = annotations["model-factory/placement"].replace(
            '"weight":100', '"weight":100 '
        )
        annotations["model-factory/placement"] = annotations["model-factory/placement"].replace(
            '"base":"1"', '"base":"7"'
        )
        document["metadata"]["resourceVersion"] = "999"

    cluster.interfere = [released_elsewhere]
    with pytest.raises(TargetError, match="was changed by somebody else"):
        released.deploy("churn", 2)


def test_an_object_that_the_factory_did_not_make_is_left_alone(released, cluster):
    (document,) = cluster.objects.values()
    del document["metadata"]["annotations"]["model-factory/placement"]
    with pytest.raises(TargetError, match="the factory did not make it; rename or delete it"):
        released.route(settled("churn", 2))


def test_a_server_that_is_overloaded_is_asked_again_and_then_reported(released, cluster):
    cluster.failing = [429]
    assert released.current("churn").variants[0].version == "1"
    cluster.failing = [503] * 50
    with pytest.raises(TemporarilyUnavailableError, match=r"Kubernetes API server at http://127.* did not answer"):
        released.current("churn")


def test_rights_that_lack_are_named(released, cluster):
    cluster.refuse = lambda _: 'inferenceservices is forbidden: User "system:x" cannot patch resource'
    with pytest.raises(
        TargetError, match=r"cannot patch resource; give the steps' service account the role of releases"
    ):
        released.deploy("churn", 2)


def test_counts_survive_a_container_that_starts_anew(released, cluster):
    released.probe("churn", [{"age": 1}] * 4)
    released.route(route_at("churn", 10, 1, 2))
    (old,) = [pod for pod in cluster.pods.values() if pod.version == "1"]
    fresh = type(old)(0, type("W", (), {"template": old.template, "name": old.workload}), old.behaves)
    fresh.name, fresh.uid = old.name, old.uid
    cluster.pods[old.name] = fresh
    released.probe("churn", [{"age": 1}] * 2, variant="champion")
    counted = released.statistics("churn").variants["champion"]
    assert (counted.requests, counted.positives) == (2, 2)


def test_a_wrong_key_shows_in_the_probe(released, cluster, tmp_path):
    other = released._platform.model_copy(update={"serving_key": type(released._platform.serving_key)("other")})
    report = targets.open_target(other).probe("churn", [{"age": 1}], version=1)
    assert (report.errors, "forbidden" in report.reason) == (1, True)
