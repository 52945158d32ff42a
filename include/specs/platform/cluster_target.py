"""Settings of the targets that serve on Kubernetes: Seldon Core and KServe."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from include.specs.base import Spec


class ClusterTarget(Spec):
    """What the pods look like that a release starts; where the cluster is, `kubernetes` says."""

    namespace: str | None = None
    """Where releases run; that of the steps (``kubernetes.namespace``) when null."""
    image: str = "model-factory/serving:latest"
    """The model server's image; one tag or digest a build, so that a pod that comes later runs the same."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str | None = "factory-serving"
    """Service account of the serving pods; the namespace's default when null. They never call the cluster's API."""
    min_replicas: int = Field(default=1, ge=1)
    """Pods of each version that runs, also of one without traffic: it is probed before it gets any."""
    max_replicas: int = Field(default=1, ge=1)
    """Most pods of a version; with more than ``min_replicas`` its load decides."""
    cpu_target: int = Field(default=70, ge=1, le=100)
    """Share of the requested CPU (percent) that autoscaling holds (Seldon, KServe's standard mode)."""
    concurrency_target: int = Field(default=50, ge=1)
    """Requests at once that autoscaling gives a pod (KServe's serverless mode)."""
    requests: dict[str, str] = Field(default={"cpu": "250m", "memory": "512Mi"})
    limits: dict[str, str] = Field(default={"memory": "1Gi"})
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    """As in a pod's spec."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Further annotations of the pods, such as a mesh's."""
    ready_seconds: float = Field(default=300.0, gt=0)
    """How long a version may take until a pod of it answers."""
    kserve_mode: Literal["standard", "serverless"] = "standard"
    """standard: plain Deployments and `spec.canary` (KServe 0.20 and later); serverless: Knative revisions."""

    @model_validator(mode="after")
    def _replicas_rise(self) -> ClusterTarget:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"'max_replicas' ({self.max_replicas}) is below 'min_replicas' ({self.min_replicas})")
        return self
