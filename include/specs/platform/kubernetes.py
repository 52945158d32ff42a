"""Settings of the pods that steps run in."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from include.specs.base import Duration, Spec
from include.specs.pods import Quantity, StepResources


class Kubernetes(Spec):
    """How a step's pod is started when the runtime is kubernetes."""

    namespace: str = "model-factory"
    image: str = "model-factory/ml:latest"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    service_account: str = "factory-step"
    release_service_account: str = "factory-release"
    """Service account of the steps that release, where the target is on a cluster: they ask the Kubernetes API."""
    in_cluster: bool = True
    config_file: str | None = None
    """kubeconfig for an Airflow outside of the cluster; its own default when absent. Airflow keeps the path only."""
    secret: str | None = "factory-secrets"  # noqa: S105 - the name of a Secret, not its content
    """Secret whose keys become the pod's environment (FACTORY_* and AWS_*); nothing secret is put in the pod's spec."""
    config_map: str | None = "factory-config"
    """ConfigMap whose keys become the pod's environment."""
    resources: StepResources = StepResources(
        requests={"cpu": "100m", "memory": "512Mi"}, limits={"memory": "4Gi"}, scratch="10Gi"
    )
    """What a pod asks for where the model's ``resources`` say nothing else."""
    memory_bound: Quantity = "16Gi"
    """A pod that ran out of memory gets twice as much at its next try, up to this limit."""
    pending: Duration = timedelta(hours=1)
    """How long a pod may wait for a busy node or a full quota; one that no node could ever take fails at once."""
    start: Duration = timedelta(minutes=5)
    """How long a pod that has a node may take to start; an image or a Secret that is missing fails at once."""
    logging_interval: int = Field(default=15, ge=1)
    """Seconds between two looks at a running pod's log."""
