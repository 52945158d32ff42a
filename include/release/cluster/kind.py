"""A kind of custom resource that a release compiles to: one abstract base, one file for each. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.release.cluster.placement import Placement
from include.specs.platform import Platform


@dataclass(frozen=True)
class Resource:
    """Where the API server keeps the objects of a kind.

    Attributes:
        product: who must be installed for it.
        install: what to do when the cluster does not know it.
    """

    group: str
    version: str
    plural: str
    kind: str
    product: str
    install: str

    @property
    def api_version(self) -> str:
        """Return the manifest's ``apiVersion``."""
        return f"{self.group}/{self.version}"


class Kind(ABC):
    """Compiles placements to manifests, and reads from their status how far the controller is."""

    resource: Resource

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.namespace = platform.cluster_target.namespace or platform.kubernetes.namespace

    @abstractmethod
    def compile(self, placement: Placement) -> dict[str, Any]:
        """Return the manifest of ``placement``; equal placements and settings give equal manifests.

        Raises:
            TargetError: this kind cannot express it.
        """

    @abstractmethod
    def problems(self, manifest: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with a manifest where the published schema is silent; nothing for one of ours."""

    @abstractmethod
    def pending(self, document: Mapping[str, Any]) -> str | None:
        """Return why the controller is not yet done with ``document``, or None when it is."""

    def settled(self, placement: Placement, former: Placement) -> Placement:
        """Return ``placement``, which comes after ``former``, with what this kind keeps running besides."""
        del former
        return placement

    def running(self, placement: Placement) -> set[str]:
        """Return the versions that have pods, also without traffic."""
        return set(placement.shares())


def condition(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the condition ``kind`` of an object's status, empty when it has none."""
    conditions = document.get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})


def stale(document: Mapping[str, Any]) -> str | None:
    """Return what to say of a status that does not yet speak of the object as it is; None of one that does."""
    status = document.get("status") or {}
    if not status:
        return "no controller has taken it up (it has no status)"
    if status.get("observedGeneration", document["metadata"]["generation"]) < document["metadata"]["generation"]:
        return "the controller has not yet seen the last change"
    return None
