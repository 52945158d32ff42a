"""What a step's pod asks for: resources, where it may run, what it mounts, and where its environment comes from."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from include.specs.base import Duration, Spec

Resources = Annotated[dict[str, str], Field(description="Kubernetes quantities, such as {cpu: '2', memory: 4Gi}")]
Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A name that Kubernetes takes everywhere (DNS-1123 label)."""
_SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|ACCESS_KEY|API_KEY|PRIVATE_KEY", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/@\s]*:[^/@\s]+@")


class Toleration(Spec):
    """A taint of a node that the pod bears."""

    key: str | None = None
    """Key of the taint; every taint when absent."""
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    """The taint's value; for Equal only."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect when absent."""


class Volume(Spec):
    """A folder of the pod that comes from outside of its image: exactly one of claim, secret, config_map and size."""

    name: Label
    path: Annotated[str, StringConstraints(pattern=r"^/.+")]
    """Where the pod sees it."""
    claim: str | None = None
    """PersistentVolumeClaim."""
    secret: str | None = None
    """Secret whose keys are the files."""
    config_map: str | None = None
    """ConfigMap whose keys are the files."""
    size: Quantity | None = None
    """An empty folder of at most this size, which goes with the pod."""
    read_only: bool = False

    @model_validator(mode="before")
    @classmethod
    def _no_folder_of_the_node(cls, value: Any) -> Any:
        if isinstance(value, dict) and {"hostPath", "host_path"} & value.keys():
            raise ValueError("a hostPath volume opens the node's disk to a step; use a PersistentVolumeClaim (claim)")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Volume:
        given = [kind for kind in ("claim", "secret", "config_map", "size") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"volume '{self.name}' needs exactly one of claim, secret, config_map, size; got {given}")
        return self


class StepResources(Spec):
    """What a step's pod asks for; the process runtime ignores it. What is absent is `kubernetes.resources`'."""

    requests: Resources = Field(default_factory=dict)
    limits: Resources = Field(default_factory=dict)
    gpu: int = Field(default=0, ge=0)
    """Number of GPUs (nvidia.com/gpu)."""
    memory_bound: Quantity | None = None
    """A pod that ran out of memory gets twice as much at its next try, up to this limit."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    volumes: tuple[Volume, ...] = ()
    scratch: Quantity | None = None
    """Size of each of the two empty folders that the pod may write to: its home and /tmp."""
    image: str | None = None
    """Image of this model's steps; the platform's when absent."""
    service_account: str | None = None
    priority_class: str | None = None
    pull_secrets: tuple[str, ...] = ()
    """Secrets with the registry's credentials."""
    secrets: tuple[str, ...] = ()
    """Secrets whose keys become the pod's environment, after the platform's."""
    config_maps: tuple[str, ...] = ()
    """ConfigMaps whose keys become the pod's environment, after the platform's."""
    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables; nothing secret, as everybody who may read pods reads it."""
    annotations: dict[str, str] = Field(default_factory=dict)
    deadline: Duration | None = None
    """The pod is ended after this long, and the step has failed."""

    @field_validator("env")
    @classmethod
    def _nothing_secret(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if _SECRET.search(name) or _LOGIN.search(value):
                raise ValueError(f"'{name}' looks secret; put it into a Secret and name that in 'secrets'")
        return env

    @field_validator("deadline")
    @classmethod
    def _at_least_a_second(cls, deadline: timedelta | None) -> timedelta | None:
        if deadline is not None and deadline < timedelta(seconds=1):
            raise ValueError("a deadline below one second ends every pod; write at least 1s")
        return deadline

    def over(self, base: StepResources) -> StepResources:
        """Return these wishes laid over ``base``: what is not set here is the base's, mappings are joined."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        joined = {
            name: {**getattr(base, name), **value} if isinstance(value, dict) else value for name, value in said.items()
        }
        return base.model_copy(update=joined)
