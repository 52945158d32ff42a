"""Manifests as a cluster would get them, and the checks that any of them must pass."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
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
        kubernetes_validate.validate(manifest, "1.37", strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{name_of(manifest)}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [f"{name_of(manifest)}: {error}"]
    return []


@lru_cache(maxsize=1)
def custom_schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """Return (apiVersion, kind) → schema of each custom resource in FACTORY_TEST_CRDS; skip where it is not set."""
    folder = os.environ.get("FACTORY_TEST_CRDS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FACTORY_TEST_CRDS names no folder with custom resource definitions")
    found = {}
    for file in sorted(Path(folder).glob("*.yaml")):
        text = file.read_text()
        if not any(f"group: {group.rstrip('/')}\n" in text for group in CUSTOM):
            continue
        for definition in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if not definition or definition.get("kind") != "CustomResourceDefinition":
                continue
            spec = definition["spec"]
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = version["schema"]["openAPIV3Schema"]
    return found


def custom_problems(manifest: Manifest, schemas: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    """Return what the published schema of a custom resource has against it, unknown fields included."""
    schema = closed(schemas[manifest["apiVersion"], manifest["kind"]])
    return [
        f"{name_of(manifest)}: {'.'.join(map(str, error.path))}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    ]


def closed(schema: Any, *, top: bool = True) -> Any:
    """Return an OpenAPI v3 schema as JSON Schema that admits no unknown field, as a strict server does."""
    if isinstance(schema, list):
        return [closed(one, top=False) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value, top=False) for key, value in schema.items() if key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made.pop("anyOf", None)
        made["type"] = ["integer", "string"]
    if "properties" in schema:
        made["properties"] = {name: closed(value, top=False) for name, value in schema["properties"].items()}
        open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        if schema.get("type") == "object" and not open_ended:
            made["additionalProperties"] = False
    if top:
        made["properties"]["metadata"] = {"type": "object"}
    return made


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
