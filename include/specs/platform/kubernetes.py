"""Settings of the pods that steps run in."""

from __future__ import annotations

from typing import Literal

from include.specs.base import Spec


class Kubernetes(Spec):
    """How a step's pod is started when the runtime is kubernetes."""

    namespace: str = "model-factory"
    image: str = "model-factory/ml:latest"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    service_account: str = "factory-step"
    in_cluster: bool = True
    config_file: str | None = None
    secret: str | None = "factory-secrets"  # noqa: S105 - the name of a Secret, not its content
    """Secret whose keys become the pod's environment (FACTORY_* and AWS_*); nothing secret is put in the pod's spec."""
    config_map: str | None = "factory-config"
    """ConfigMap whose keys become the pod's environment."""
