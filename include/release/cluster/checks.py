"""Checks of manifests that every kind shares: what an API server takes and a kubelet would not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.release.cluster.names import DNS_LABEL

PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def label_problems(where: str, name: str) -> list[str]:
    """Return what is wrong with a name that must be a DNS-1123 label."""
    if DNS_LABEL.fullmatch(name):
        return []
    return [f"{where}: '{name}' is no DNS label: lower-case letters, digits and '-', 63 at most"]


def container_problems(where: str, container: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a container: its name, probes of ports that it does not open, mounts of nothing."""
    found = label_problems(f"{where}.name", container["name"])
    ports = container.get("ports", ())
    known = {port["containerPort"] for port in ports} | {port["name"] for port in ports if "name" in port}
    for probe in PROBES:
        asked = container.get(probe, {}).get("httpGet", {}).get("port")
        if asked is not None and asked not in known:
            found.append(f"{where}.{probe}: port {asked} is not among the container's ports")
    if not container.get("image"):
        found.append(f"{where}: has no image")
    for name in ("envFrom", "env"):
        if container.get(name) is not None and not isinstance(container[name], list):
            found.append(f"{where}.{name}: is no list")
    return found
