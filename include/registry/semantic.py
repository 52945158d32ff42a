"""Semantic versions: what a new version means to those who call it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.store.packages import Manifest

FIRST = "1.0.0"
SCHEMA_TAG, ALGORITHM_TAG, PARAMETERS_TAG = "factory.schema", "factory.algorithm", "factory.parameters"


def schema_digest(manifest: Manifest) -> str:
    """Return the digest of what a caller sees: task, target, input columns with types, and classes."""
    contract = {
        "task": manifest.task,
        "target": manifest.target,
        "features": sorted((field.name, field.type) for field in manifest.features),
        "classes": [str(label) for label in manifest.classes or ()],
    }
    return hashlib.sha256(json.dumps(contract, sort_keys=True).encode()).hexdigest()[:16]


def next_semantic(previous: str | None, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the semantic version that follows ``previous``.

    - major: the schema changed (task, target, input columns or their types, classes): callers have to change.
    - minor: the algorithm or its parameters changed.
    - patch: the same configuration, fitted again.

    Args:
        previous: semantic version of the version before, or None for the first one.
        old: the tags of the version before.
        new: the tags of the new version.

    Examples:
        >>> tags = {"factory.schema": "a", "factory.algorithm": "linear", "factory.parameters": "{}"}
        >>> next_semantic("1.4.2", tags, tags)
        '1.4.3'
        >>> next_semantic("1.4.2", tags, tags | {"factory.algorithm": "xgboost"})
        '1.5.0'
        >>> next_semantic("1.4.2", tags, tags | {"factory.schema": "b"})
        '2.0.0'
    """
    if previous is None:
        return FIRST
    major, minor, patch = map(int, previous.split("."))
    if old.get(SCHEMA_TAG) != new.get(SCHEMA_TAG):
        return f"{major + 1}.0.0"
    if any(old.get(tag) != new.get(tag) for tag in (ALGORITHM_TAG, PARAMETERS_TAG)):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"
