"""Accounts of the base on a real cluster: they may do their work, and nothing else."""

from __future__ import annotations

import pytest
import yaml

from tests.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.timeout(900), pytest.mark.cluster_core]
MAY = [
    ("factory-airflow", "create", "pods"),
    ("factory-airflow", "watch", "pods"),
    ("factory-airflow", "delete", "pods"),
    ("factory-airflow", "patch", "pods"),
    ("factory-airflow", "get", "pods/log"),
    ("factory-airflow", "list", "events"),
    *[("factory-release", verb, kind) for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
      for kind in ("seldondeployments.machinelearning.seldon.io", "inferenceservices.serving.kserve.io")],
    ("factory-release", "list", "pods"),
    ("factory-release", "get", "pods/log"),
    ("factory-release", "create", "pods/proxy"),
]  # fmt: skip
MAY_NOT = [
    *[(account, verb, "secrets") for verb in ("get", "list", "create")
      for account in ("factory-airflow", "factory-step", "factory-release", "factory-serving")],
    ("factory-airflow", "create", "pods/exec"),
    ("factory-airflow", "create", "deployments.apps"),
    ("factory-airflow", "create", "rolebindings.rbac.authorization.k8s.io"),
    ("factory-airflow", "list", "nodes"),
    *[("factory-step", verb, "pods") for verb in ("get", "list", "create", "delete")],
    ("factory-step", "get", "configmaps"),
    ("factory-release", "create", "pods"),
    ("factory-release", "delete", "pods"),
    ("factory-release", "create", "deployments.apps"),
    *[(account, "get", "pods") for account in ("factory-serving", "factory-mlflow", "factory-feast")],
]  # fmt: skip


@pytest.mark.parametrize(("account", "verb", "resource"), MAY)
def test_an_account_may_do_its_work(kubectl: Kubectl, rights: str, account, verb, resource) -> None:
    assert kubectl.may(account, rights, verb, resource, rights)


@pytest.mark.parametrize(("account", "verb", "resource"), MAY_NOT)
def test_an_account_may_do_nothing_else(kubectl: Kubectl, rights: str, account, verb, resource) -> None:
    assert not kubectl.may(account, rights, verb, resource, rights)


@pytest.mark.parametrize("verb", ["create", "get", "list", "delete"])
def test_no_right_leaves_the_namespace(kubectl: Kubectl, rights: str, verb: str) -> None:
    for account in ("factory-airflow", "factory-release"):
        assert not kubectl.may(account, "default", verb, "pods", rights)


def test_a_container_that_asks_for_nothing_gets_the_limits(kubectl: Kubectl, rights: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "plain", "namespace": rights},
        "spec": {"containers": [{"name": "plain", "image": "none"}]},
    }
    text = kubectl("create", "--dry-run=server", "--output=yaml", "--filename=-", stdin=yaml.safe_dump(pod))
    resources = yaml.safe_load(text)["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "4Gi"}, "requests": {"cpu": "250m", "memory": "1Gi"}}


def test_the_quota_holds(kubectl: Kubectl, rights: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy", "namespace": rights},
        "spec": {"containers": [{"name": "greedy", "image": "none", "resources": {"requests": {"cpu": "100"}}}]},
    }
    done = kubectl.tried("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(pod))
    assert "exceeded quota: factory" in done.stderr
