"""Seldon Core v1: a `SeldonDeployment` with one predictor for each version. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from include.release.cluster import pods
from include.release.cluster.checks import container_problems, label_problems
from include.release.cluster.kind import Kind, Resource, stale
from include.release.cluster.names import object_name, version_name
from include.release.cluster.placement import ANNOTATION, Placement

CONTAINER = "model"
GRAPH_TYPES = frozenset({"MODEL", "ROUTER", "COMBINER", "TRANSFORMER", "OUTPUT_TRANSFORMER"})
IMPLEMENTATIONS = frozenset(
    {"SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER"}
    | {"SKLEARN_SERVER", "XGBOOST_SERVER", "TENSORFLOW_SERVER", "MLFLOW_SERVER", "TRITON_SERVER", "TEMPO_SERVER"}
    | {"HUGGINGFACE_SERVER"}
)


class SeldonKind(Kind):
    """Predictors are called after their version, not after its role: a version changes role without a new pod."""

    resource = Resource(
        "machinelearning.seldon.io", "v1", "seldondeployments", "SeldonDeployment", "Seldon Core 1",
        "install Seldon Core 1 (its chart seldon-core-operator; 1.17.1 is the last under Apache-2.0), "
        "or release to KServe (FACTORY_SERVING_TARGET=kserve)",
    )  # fmt: skip

    def compile(self, placement: Placement) -> dict[str, Any]:
        """See `Kind.compile`."""
        name = object_name(placement.model)
        shares = placement.shares()
        annotations = {ANNOTATION: placement.annotation()}
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": pods.metadata(name, self.namespace, placement.model, annotations),
            "spec": {
                "protocol": "v2",
                "predictors": [self._predictor(placement.model, version, shares[version]) for version in shares],
            },
        }

    def _predictor(self, model: str, version: str, traffic: int) -> dict[str, Any]:
        settings = self.platform.cluster_target
        component: dict[str, Any] = {
            "metadata": {"labels": pods.labels(model, version), "annotations": pods.pod_annotations(self.platform)},
            "spec": pods.pod_spec(self.platform, model, version, CONTAINER, "http"),
        }
        if settings.max_replicas > settings.min_replicas:
            component["hpaSpec"] = {
                "minReplicas": settings.min_replicas,
                "maxReplicas": settings.max_replicas,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": settings.cpu_target}}
                ],
            }
        return {
            "name": version_name(version),
            "traffic": traffic,
            "replicas": settings.min_replicas,
            # the server speaks the protocol itself: an orchestrator beside it would only cost time
            "annotations": {"seldon.io/no-engine": "true"},
            "labels": pods.labels(model, version),
            "graph": {"name": CONTAINER, "type": "MODEL"},
            "componentSpecs": [component],
        }

    def problems(self, manifest: Mapping[str, Any]) -> list[str]:
        """See `Kind.problems`: the published schema says nothing below a graph's root, and takes any type."""
        predictors = manifest["spec"]["predictors"]
        found = label_problems("metadata.name", manifest["metadata"]["name"])
        answering = [one for one in predictors if not one.get("shadow")]
        total = sum(one.get("traffic", 0) for one in answering)
        if len(answering) > 1 and total != 100:
            found.append(f"spec.predictors: their traffic adds up to {total}, not 100")
        if sum(bool(one.get("shadow")) for one in predictors) > 1:
            found.append("spec.predictors: there may be one shadow")
        if len({one["name"] for one in predictors}) != len(predictors):
            found.append("spec.predictors: two share a name")
        for number, one in enumerate(predictors):
            where = f"spec.predictors[{number}]"
            found += label_problems(f"{where}.name", one["name"])
            found += _predictor_problems(where, one)
        return found

    def pending(self, document: Mapping[str, Any]) -> str | None:
        """See `Kind.pending`."""
        if reason := stale(document):
            return reason
        status = document["status"]
        if status.get("state") == "Available":
            return None
        return f"Seldon says {status.get('state', 'nothing')}: {status.get('description') or 'no reason given'}"


def _predictor_problems(where: str, predictor: Mapping[str, Any]) -> list[str]:
    containers = {
        container["name"]: container
        for component in predictor.get("componentSpecs", ())
        for container in component.get("spec", {}).get("containers", ())
    }
    units = list(_units(f"{where}.graph", predictor["graph"]))
    found = []
    for place, unit in units:
        if unit.get("implementation") is None and unit["name"] not in containers:
            found.append(f"{place}: no container is called '{unit['name']}'")
        if unit.get("type") not in (None, *GRAPH_TYPES):
            found.append(f"{place}: type '{unit['type']}' is unknown; use one of {', '.join(sorted(GRAPH_TYPES))}")
        if unit.get("implementation") not in (None, *IMPLEMENTATIONS):
            found.append(f"{place}: implementation '{unit['implementation']}' is unknown")
        if unit.get("type") in ("ROUTER", "COMBINER") and not unit.get("children"):
            found.append(f"{place}: a {unit['type']} needs children")
    if len({unit["name"] for _, unit in units}) != len(units):
        found.append(f"{where}.graph: two units share a name")
    if "seldon.io/no-engine" in predictor.get("annotations", {}) and len(units) > 1:
        found.append(f"{where}: a graph of several units needs the orchestrator; take seldon.io/no-engine away")
    for container in containers.values():
        found += container_problems(f"{where}.{container['name']}", container)
    return found


def _units(where: str, unit: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the units of a graph with their places, the root first."""
    yield where, unit
    for number, child in enumerate(unit.get("children", ())):
        yield from _units(f"{where}.children[{number}]", child)
