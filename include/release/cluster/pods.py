"""The pod of a version: the model server, told to serve that version alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.release.cluster.names import MANAGED_BY, MANAGER, MODEL, VERSION
from include.specs.platform import Platform

PORT = 8500
HOME = "/var/lib/factory"
GRACE_SECONDS = 40
"""What the server needs at most to answer what is under way and commit its log."""


def labels(model: str, version: str | None = None) -> dict[str, str]:
    """Return the labels of a model's object, or of a version's pods."""
    common = {MANAGED_BY: MANAGER, "app.kubernetes.io/component": "serving", MODEL: model}
    return common if version is None else common | {VERSION: version}


def pod_annotations(platform: Platform) -> dict[str, str]:
    """Return the annotations of a serving pod: who scrapes by annotation finds the metrics."""
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}
    return scraped | platform.cluster_target.annotations


def pod_spec(platform: Platform, model: str, version: str, container: str, port_name: str) -> dict[str, Any]:
    """Return the spec of a version's pod.

    Args:
        platform: image, resources and the like; the environment comes from its ConfigMap and Secret by reference.
        model: the model.
        version: the version that the pod serves alone.
        container: what the target calls the container that answers.
        port_name: what the target calls the port.
    """
    settings = platform.cluster_target
    spec: dict[str, Any] = {
        "containers": [_container(platform, model, version, container, port_name)],
        "volumes": [{"name": "home", "emptyDir": {}}],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
    }
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dict(toleration) for toleration in settings.tolerations]
    return spec


def _container(platform: Platform, model: str, version: str, name: str, port_name: str) -> dict[str, Any]:
    settings = platform.cluster_target
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "envFrom": _environment(platform),
        "env": [{"name": "FACTORY_SERVING__PINNED", "value": f"{model}/{version}"}],
        "ports": [{"name": port_name, "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": _probe("/health/ready", period=3, failures=3),
        "livenessProbe": _probe("/health/live", period=10, failures=30),
        "resources": {"requests": dict(settings.requests), "limits": dict(settings.limits)},
        "securityContext": {
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "home", "mountPath": HOME}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _environment(platform: Platform) -> list[dict[str, Any]]:
    """Return where the environment comes from, by reference: nothing secret stands in a manifest."""
    cluster = platform.kubernetes
    sources: list[dict[str, Any]] = []
    if cluster.config_map is not None:
        sources.append({"configMapRef": {"name": cluster.config_map}})
    if cluster.secret is not None:
        sources.append({"secretRef": {"name": cluster.secret}})
    return sources


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def metadata(name: str, namespace: str, model: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a model's object."""
    return {"name": name, "namespace": namespace, "labels": labels(model), "annotations": dict(annotations)}
