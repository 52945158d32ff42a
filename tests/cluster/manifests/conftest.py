"""A kubectl, a namespace of a module's own, and in it the accounts and rights of the base."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.kubectl import Kubectl, in_namespace

KUBERNETES = Path(__file__).resolve().parents[3] / "kubernetes"


@pytest.fixture(scope="module")
def kubectl() -> Kubectl:
    return Kubectl()


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """Return a namespace of this module's own."""
    name = f"factory-manifests-{secrets.token_hex(3)}"
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false", "--grace-period=0")


@pytest.fixture(scope="module")
def rights(kubectl: Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Apply the accounts, roles, limits and priorities of the base; give the namespace."""
    kinds = {"ServiceAccount", "Role", "RoleBinding", "ResourceQuota", "LimitRange", "PriorityClass"}
    manifests = in_namespace(KUBERNETES / "base", tmp_path_factory.mktemp("rights"), namespace)
    wanted = [manifest for manifest in manifests if manifest["kind"] in kinds]
    priorities = [f"priorityclass/{one['metadata']['name']}" for one in wanted if one["kind"] == "PriorityClass"]
    new = [name for name in priorities if kubectl.tried("get", name).returncode]
    kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(wanted))
    try:
        yield namespace
    finally:
        for name in new:  # they belong to no namespace
            kubectl("delete", name, "--wait=false")
