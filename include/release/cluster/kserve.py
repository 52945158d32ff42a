"""KServe: an `InferenceService` in its standard mode (Deployments) or its serverless mode (Knative). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from include.release.cluster import pods
from include.release.cluster.checks import container_problems, label_problems
from include.release.cluster.kind import Kind, Resource, condition, stale
from include.release.cluster.names import object_name, version_name
from include.release.cluster.placement import ANNOTATION, Placement
from include.release.target import TargetError

CONTAINER = "kserve-container"
"""The name by which KServe knows the container that answers."""
MODES = {"standard": "Standard", "serverless": "Serverless"}


class KServeKind(Kind):
    """Both modes keep the pods of a version when its share changes.

    Standard: the base is `spec.predictor`, every other version a named entry of `spec.canary`; a promotion retargets
    names, and no pod starts anew. Serverless: a change of the predictor makes a Knative revision, and
    `canaryTrafficPercent` shares the traffic between it and the one rolled out last, so two versions run at most.
    """

    resource = Resource(
        "serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService", "KServe",
        "install KServe (its chart kserve; spec.canary of the standard mode needs 0.20)",
    )  # fmt: skip

    @property
    def _serverless(self) -> bool:
        return self.platform.cluster_target.kserve_mode == "serverless"

    def compile(self, placement: Placement) -> dict[str, Any]:
        """See `Kind.compile`."""
        annotations = {
            ANNOTATION: placement.annotation(),
            "serving.kserve.io/deploymentMode": MODES[self.platform.cluster_target.kserve_mode],
        }
        if self._serverless:  # a revision with a tag keeps its pods while it has no traffic
            annotations["serving.kserve.io/enable-tag-routing"] = "true"
        name = object_name(placement.model)
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": pods.metadata(name, self.namespace, placement.model, annotations),
            "spec": self._revisions(placement) if self._serverless else self._deployments(placement),
        }

    def _deployments(self, placement: Placement) -> dict[str, Any]:
        model, shares = placement.model, placement.shares()
        stable = self._predictor(model, placement.base) | {"name": version_name(placement.base)} | self._scaling()
        others = [
            {
                "trafficPercent": share,
                "predictor": self._predictor(model, version)
                | {"name": version_name(version), "minReplicas": self.platform.cluster_target.min_replicas},
            }
            for version, share in shares.items()
            if version != placement.base
        ]
        return {"predictor": stable} | ({"canary": others} if others else {})

    def _revisions(self, placement: Placement) -> dict[str, Any]:
        shares = placement.shares()
        others = [version for version in shares if version != placement.base]
        if len(others) > 1:
            raise TargetError(
                f"KServe's serverless mode runs two versions of a model at a time, and '{placement.model}' would have "
                f"{len(shares)}; end the release that is under way, or set cluster_target.kserve_mode to standard"
            )
        if not others:
            return {"predictor": self._predictor(placement.model, placement.base) | self._scaling()}
        share = {"canaryTrafficPercent": shares[others[0]]}
        return {"predictor": self._predictor(placement.model, others[0]) | self._scaling() | share}

    def settled(self, placement: Placement, former: Placement) -> Placement:
        """See `Kind.settled`: a revision that is newer than the base stays at 0 %.

        To take it away would need a new revision of the base, and until that is ready Knative would send everything
        to the one that is to go.
        """
        others = [version for version in former.shares() if version != former.base]
        if self._serverless and placement.base == former.base and len(placement.shares()) == 1:
            return replace(placement, staged=tuple(others))
        return placement

    def running(self, placement: Placement) -> set[str]:
        """See `Kind.running`: a revision that lost everything to the newer one ends; it comes back with the traffic."""
        shares = placement.shares()
        if self._serverless and 100 in [share for version, share in shares.items() if version != placement.base]:
            del shares[placement.base]
        return set(shares)

    def _predictor(self, model: str, version: str) -> dict[str, Any]:
        spec = pods.pod_spec(self.platform, model, version, CONTAINER, "http1")
        if self._serverless:  # Knative sets it itself, and refuses it
            del spec["terminationGracePeriodSeconds"]
        return spec | {
            "labels": pods.labels(model, version),
            "annotations": pods.pod_annotations(self.platform),
        }

    def _scaling(self) -> dict[str, Any]:
        settings = self.platform.cluster_target
        metric, target = (
            ("concurrency", settings.concurrency_target) if self._serverless else ("cpu", settings.cpu_target)
        )
        scaling: dict[str, Any] = {"minReplicas": settings.min_replicas, "maxReplicas": settings.max_replicas}
        return scaling | {"scaleMetric": metric, "scaleTarget": target}

    def problems(self, manifest: Mapping[str, Any]) -> list[str]:
        """See `Kind.problems`: what KServe's webhooks and Knative refuse."""
        spec, name = manifest["spec"], manifest["metadata"]["name"]
        canaries = spec.get("canary", ())
        named = [("spec.predictor", spec["predictor"])]
        named += [(f"spec.canary[{number}].predictor", one["predictor"]) for number, one in enumerate(canaries)]
        found = label_problems("metadata.name", name)
        for where, predictor in named:
            if canaries or "name" in predictor:
                found += label_problems(f"{where}.name", f"{name}-{predictor.get('name', '')}-predictor")
            containers = predictor.get("containers", ())
            if not any(one["name"] == CONTAINER for one in containers):
                found.append(f"{where}: no container is called '{CONTAINER}'")
            for container in containers:
                found += container_problems(f"{where}.{container['name']}", container)
        if canaries:
            found += _canary_problems(manifest, [predictor.get("name") for _, predictor in named])
        return found

    def pending(self, document: Mapping[str, Any]) -> str | None:
        """See `Kind.pending`."""
        if reason := stale(document):
            return reason
        for kind in ("Ready", "CanaryReady") if document["spec"].get("canary") else ("Ready",):
            found = condition(document, kind)
            if found.get("status") != "True" and (found or kind == "Ready"):
                said = ": ".join(found[key] for key in ("reason", "message") if found.get(key))
                return f"KServe says {kind} is {found.get('status', 'Unknown')}" + (f" ({said})" if said else "")
        return None


def _canary_problems(manifest: Mapping[str, Any], names: list[str | None]) -> list[str]:
    canaries, found = manifest["spec"]["canary"], []
    if manifest["metadata"]["annotations"].get("serving.kserve.io/deploymentMode") not in ("Standard", "RawDeployment"):
        found.append("spec.canary: is of the standard mode alone (annotation serving.kserve.io/deploymentMode)")
    if None in names or len(set(names)) != len(names):
        found.append("spec.canary: every predictor needs a name of its own")
    if (total := sum(one["trafficPercent"] for one in canaries)) > 100:
        found.append(f"spec.canary: the shares add up to {total}, more than 100")
    if "canaryTrafficPercent" in manifest["spec"]["predictor"]:
        found.append("spec.predictor.canaryTrafficPercent: is of the serverless mode; spec.canary says the shares here")
    for number, one in enumerate(canaries):
        for refused in ("maxReplicas", "autoScaling", "scaleMetric", "scaleTarget"):
            if refused in one["predictor"]:
                found.append(f"spec.canary[{number}].predictor.{refused}: is refused below spec.canary")
    return found
