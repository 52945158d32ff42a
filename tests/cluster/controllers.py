"""What Seldon Core's and KServe's controllers make of an object, as far as releases see it: pods and who gets how much.

Written from their documentation, apart from the compilers that it judges: it reads a manifest and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
Ready = Callable[[str], bool]


@dataclass(frozen=True)
class Workload:
    """A set of equal pods.

    Attributes:
        weight: its share of the traffic (percent).
    """

    name: str
    template: Document
    replicas: int
    weight: int


class SeldonController:
    """One Deployment for each predictor."""

    plural, group, version = "seldondeployments", "machinelearning.seldon.io", "v1"

    def workloads(self, document: Document, ready: Ready) -> list[Workload]:
        predictors = document["spec"]["predictors"]
        made = []
        for predictor in predictors:
            (component,) = predictor["componentSpecs"]
            names = "-".join(container["name"] for container in component["spec"]["containers"])
            labels = {**predictor.get("labels", {}), **component["metadata"]["labels"]}
            template = {"metadata": {**component["metadata"], "labels": labels}, "spec": component["spec"]}
            weight = predictor["traffic"] if len(predictors) > 1 else 100
            name = f"{document['metadata']['name']}-{predictor['name']}-0-{names}"
            made.append(Workload(name, template, predictor["replicas"], weight))
        return made

    def status(self, document: Document, workloads: list[Workload], ready: Ready) -> Document:
        available = all(ready(one.name) for one in workloads)
        return {
            "state": "Available" if available else "Creating",
            "description": "every Deployment is available" if available else "a Deployment is not available",
            "replicas": sum(one.replicas for one in workloads),
        }


class KServeController:
    """Both modes, as the annotation says."""

    plural, group, version = "inferenceservices", "serving.kserve.io", "v1beta1"

    def __init__(self) -> None:
        self._revisions: dict[str, Revisions] = {}

    def workloads(self, document: Document, ready: Ready) -> list[Workload]:
        mode = document["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        if mode == "Standard":
            return self._deployments(document)
        assert mode == "Serverless", mode
        return self._revisions.setdefault(document["metadata"]["uid"], Revisions()).follow(document, ready)

    @staticmethod
    def _deployments(document: Document) -> list[Workload]:
        spec, name = document["spec"], document["metadata"]["name"]
        canaries = spec.get("canary", [])
        rest = 100 - sum(canary["trafficPercent"] for canary in canaries)
        made = []
        for predictor, weight in (
            (spec["predictor"], rest),
            *((c["predictor"], c["trafficPercent"]) for c in canaries),
        ):
            made.append(Workload(f"{name}-{predictor['name']}-predictor", *_component(predictor), weight))
        return made

    def status(self, document: Document, workloads: list[Workload], ready: Ready) -> Document:
        state = "True" if all(ready(one.name) for one in workloads) else "False"
        conditions = [{"type": "Ready", "status": state}, {"type": "PredictorReady", "status": state}]
        if "canary" in document["spec"]:
            conditions.append({"type": "CanaryReady", "status": state})
        return {"observedGeneration": document["metadata"]["generation"], "conditions": conditions}


@dataclass
class Revisions:
    """The Knative revisions of one service: what was rolled out last, and what is newest."""

    made: list[tuple[str, Document, int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    rolled_out: str = ""
    before: str = ""

    def follow(self, document: Document, ready: Ready) -> list[Workload]:
        predictor = document["spec"]["predictor"]
        canary = predictor.get("canaryTrafficPercent", 100)
        text = json.dumps({key: value for key, value in predictor.items() if key != "canaryTrafficPercent"})
        if not self.texts or text != self.texts[-1]:
            name = f"{document['metadata']['name']}-predictor-{len(self.made) + 1:05d}"
            self.made.append((name, *_component(predictor)))
            self.texts.append(text)
        newest = self.made[-1][0]
        latest = next((name for name, _, _ in reversed(self.made) if ready(name)), newest)
        if not self.rolled_out:
            canary = 100
        shares = {self.rolled_out or newest: 100 - canary, latest: canary}
        if canary == 100:
            shares = {latest: 100}
            if latest == newest != self.rolled_out and ready(newest):
                self.before, self.rolled_out = self.rolled_out, newest
        elif self.rolled_out == newest and self.before:
            self.rolled_out = self.before
            shares = {self.rolled_out: 100 - canary, newest: canary}
        elif latest == self.rolled_out:
            shares = {latest: 100}
        kept = {newest, self.rolled_out, *shares}
        return [
            Workload(name, template, count, shares.get(name, 0)) for name, template, count in self.made if name in kept
        ]


def _component(predictor: Mapping[str, Any]) -> tuple[Document, int]:
    """Return the pods' template, and how many there are."""
    extras = ("labels", "annotations", "name", "canaryTrafficPercent")
    scaling = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget")
    spec = {key: value for key, value in predictor.items() if key not in (*extras, *scaling)}
    metadata = {"labels": dict(predictor["labels"]), "annotations": dict(predictor["annotations"])}
    return {"metadata": metadata, "spec": spec}, predictor["minReplicas"]
