"""The published schemas of custom resources, from the folder that FACTORY_TEST_CRDS names; strict about unknown fields."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Document = dict[str, Any]


def crd_folder() -> Path:
    """Return the folder of schemas; skip where there is none."""
    folder = os.environ.get("FACTORY_TEST_CRDS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FACTORY_TEST_CRDS names no folder of custom resource definitions")
    return Path(folder)


@cache
def definition(folder: Path, plural: str, group: str) -> Document:
    """Return the definition of a custom resource."""
    for file in sorted(folder.glob(f"*{plural}.yaml")):
        document: Document = yaml.load(file.read_bytes(), yaml.CSafeLoader)
        if document["metadata"]["name"] == f"{plural}.{group}":
            return document
    pytest.skip(f"{folder} has no definition of {plural}.{group}")


@cache
def schema(folder: Path, plural: str, group: str, version: str) -> Document:
    """Return the JSON schema of one version, which refuses what the API server would silently drop."""
    versions = definition(folder, plural, group)["spec"]["versions"]
    (found,) = [one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == version]
    return {**found, "properties": {name: _strict(one) for name, one in found["properties"].items()}}


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    strict = {key: _strict(value) for key, value in node.items()}
    if node.get("type") == "object" and isinstance(node.get("properties"), dict):
        open_ended = "additionalProperties" in node or node.get("x-kubernetes-preserve-unknown-fields")
        return strict if open_ended else {**strict, "additionalProperties": False}
    return strict
