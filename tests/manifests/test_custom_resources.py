"""Custom resources are what their published definitions take (FACTORY_TEST_CRDS; `.github/custom-resources` fetches them)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.kubernetes.rendered import CUSTOM, KUBERNETES, Manifest, kustomized, name_of

SOURCES = ("overlays/staging", "overlays/production", "argocd")


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


def custom_resources(source: str) -> list[Manifest]:
    """Return the custom resources of an overlay, or of a folder of files."""
    folder = KUBERNETES / source
    if (folder / "kustomization.yaml").is_file():
        found = list(kustomized(folder))
    else:
        found = [one for file in sorted(folder.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]
    return [one for one in found if one["apiVersion"].startswith(CUSTOM)]


@pytest.mark.parametrize("source", SOURCES)
def test_their_definitions_take_them(source: str):
    schemas, custom = custom_schemas(), custom_resources(source)
    assert len({one["kind"] for one in custom}) >= 2
    assert {(one["apiVersion"], one["kind"]) for one in custom} <= set(schemas), "a definition is missing"
    assert [problem for one in custom for problem in custom_problems(one, schemas)] == []


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_field_is_refused(source: str):
    schemas = custom_schemas()
    for one in custom_resources(source):
        assert custom_problems({**one, "spec": {**one["spec"], "unknownField": 1}}, schemas)
