"""The manifests as a real API server judges them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.kubectl import Kubectl, in_namespace
from tests.cluster.manifests.conftest import KUBERNETES

OVERLAYS = ("local", "staging", "production")
pytestmark = [pytest.mark.timeout(900), pytest.mark.cluster_core]


@pytest.fixture(scope="module")
def definitions(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Bring in the definitions of FACTORY_TEST_CRDS that the overlays use, as far as the cluster takes them; return a
    kubectl that knows them."""
    folder = os.environ.get("FACTORY_TEST_CRDS")
    files = [*Path(folder).glob("prometheus_*.yaml"), *Path(folder).glob("external-secrets_*.yaml")] if folder else []
    made = []
    for file in sorted(files):
        name = yaml.safe_load(file.read_text())["metadata"]["name"]
        if kubectl.tried("get", "customresourcedefinition", name).returncode:
            # an older cluster drops fields that it does not know, and refuses some definitions as a whole
            done = kubectl.tried("create", "--validate=false", f"--filename={file}")
            if done.returncode == 0:
                made.append(f"customresourcedefinition/{name}")
            else:
                warnings.warn(f"the cluster refuses {file.name}: {done.stderr.splitlines()[0]}", stacklevel=1)
    try:
        if made:
            kubectl("wait", "--for=condition=Established", "--timeout=60s", *made)
        yield Kubectl()
    finally:
        for name in made:
            kubectl("delete", name, "--wait=false")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_every_manifest(
    definitions: Kubectl, namespace: str, tmp_path: Path, overlay: str
) -> None:
    manifests = in_namespace(KUBERNETES / "overlays" / overlay, tmp_path, namespace)
    fit, left_out = definitions.fitting(manifests)
    said = definitions.dry_run(fit)
    assert len(said) == len(fit)
    assert all("serverside-applied" in line or "server dry run" in line for line in said), said
    unknown = {"ExternalSecret", "SecretStore", "ServiceMonitor", "PrometheusRule"}
    assert {line.partition(" ")[0] for line in left_out} <= unknown, left_out
    if left_out:
        warnings.warn(f"{overlay}: {len(said)} were judged; not {', '.join(left_out)}, unknown there", stacklevel=1)


def test_a_wrong_manifest_is_refused(kubectl: Kubectl, namespace: str) -> None:
    broken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "UPPER", "namespace": namespace}, "spec": {}}
    done = kubectl.tried("apply", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(broken))
    assert done.returncode
    assert "UPPER" in done.stderr
