"""Manifests as a cluster would get them, and the checks that any of them must pass."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "kubernetes"
OVERLAYS = ("local", "staging", "production")
CUSTOM = ("monitoring.coreos.com/", "external-secrets.io/", "argoproj.io/")
Manifest = dict[str, Any]


@lru_cache(maxsize=16)
def kustomized(folder: Path) -> list[Manifest]:
    """Return what ``kubectl kustomize`` makes of a folder; skip where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def problems_of(manifest: Manifest) -> list[str]:
    """Return what the newest Kubernetes API has against a manifest; a kind that it does not know is a problem too."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{name_of(manifest)}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [f"{name_of(manifest)}: {error}"]
    return []


def name_of(manifest: Manifest) -> str:
    """Return ``kind/name``."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def by_name(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the manifests by ``kind/name``; two of one name are an error."""
    found = {name_of(manifest): manifest for manifest in manifests}
    assert len(found) == len(manifests), "two manifests share a kind and a name"
    return found


def pod_specs(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    """Return the pod of each workload, by ``kind/name``."""
    return {
        name_of(manifest): manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet")
    }


def canonical(manifest: Manifest) -> str:
    """Return a text that two equal manifests share."""
    return json.dumps(manifest, sort_keys=True, indent=1)
