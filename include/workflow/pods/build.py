"""From a step, the model's wishes and the platform's settings to the task that runs it in a pod."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubernetes import client as k8s  # noqa: TID253 - only `runtime` imports this room, for pods alone

from include.specs import ModelSpec
from include.specs.platform import Kubernetes, load_platform
from include.specs.pods import StepResources, Toleration, Volume
from include.workflow.command import StepCall
from include.workflow.pods.operator import StepPodOperator

HOME = "/var/lib/factory"
"""The home of the image's user: with /tmp the only place that a step may write to."""
RELEASING = frozenset({"plan_release", "shift", "promote", "rollback"})
"""Steps that speak to the target."""


def pod_operator(
    spec: ModelSpec,
    cluster: Kubernetes,
    call: StepCall,
    mends: Sequence[str] = (),
    make: Callable[..., Any] = StepPodOperator,
    **kwargs: Any,
) -> Any:
    """Return the task that runs ``call`` in a pod: what the spec asks for, laid over what the platform says.

    ``make`` is given the operator's arguments, and returns the task, or the mapped task.
    """
    wanted = spec.step_resources(call.step).over(cluster.resources)
    labels = {
        "app.kubernetes.io/name": "model-factory",
        "app.kubernetes.io/component": "step",
        "model-factory/model": call.model,
        "model-factory/pipeline": call.pipeline,
        "model-factory/run": f"{{{{ run_name('{call.pipeline}', run_id) }}}}",
        "model-factory/step": call.task,
    }
    volumes, mounts = _volumes(wanted)
    return make(
        call=call,
        mends=mends,
        pending=cluster.pending,
        start=cluster.start,
        memory_bound=wanted.memory_bound or cluster.memory_bound,
        logging_interval=cluster.logging_interval,
        in_cluster=cluster.in_cluster,
        config_file=cluster.config_file,
        namespace=cluster.namespace,
        name=f"{call.model}-{call.task}".replace("_", "-"),
        labels=labels,
        annotations=dict(wanted.annotations),
        image=wanted.image or cluster.image,
        image_pull_policy=cluster.image_pull_policy,
        image_pull_secrets=[k8s.V1LocalObjectReference(name=name) for name in wanted.pull_secrets],
        cmds=["python"],
        env_from=_sources(cluster, wanted),
        env_vars=[k8s.V1EnvVar(name=name, value=value) for name, value in sorted(_environment(wanted).items())],
        volumes=volumes,
        volume_mounts=mounts,
        container_resources=_resources(wanted),
        node_selector=dict(wanted.node_selector),
        tolerations=[_toleration(one) for one in wanted.tolerations],
        service_account_name=wanted.service_account or _account(cluster, call),
        priority_class_name=wanted.priority_class,
        active_deadline_seconds=int(wanted.deadline.total_seconds()) if wanted.deadline else None,
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
        ),
        container_security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        ),
        termination_message_policy="FallbackToLogsOnError",
        **kwargs,
    )


def _account(cluster: Kubernetes, call: StepCall) -> str:
    """Return the service account of a step: one that may release alone where that takes the Kubernetes API."""
    if call.step in RELEASING and load_platform().serving_target != "local":
        return cluster.release_service_account
    return cluster.service_account


def _environment(wanted: StepResources) -> dict[str, str]:
    """Return the plain environment: the folders that may be written to, whatever image and ConfigMap say."""
    return {"HOME": HOME, "FACTORY_HOME": HOME, "TMPDIR": "/tmp", **wanted.env}  # noqa: S108 - the pod's own


def _sources(cluster: Kubernetes, wanted: StepResources) -> list[k8s.V1EnvFromSource]:
    """Return where the rest comes from, by reference: nothing secret stands in the pod's spec."""
    maps = [name for name in (cluster.config_map, *wanted.config_maps) if name is not None]
    secrets = [name for name in (cluster.secret, *wanted.secrets) if name is not None]
    return [
        *(k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name=name)) for name in maps),
        *(k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=name)) for name in secrets),
    ]


def _volumes(wanted: StepResources) -> tuple[list[k8s.V1Volume], list[k8s.V1VolumeMount]]:
    scratch = {"home": HOME, "tmp": "/tmp"}  # noqa: S108 - the pod's own
    volumes = [k8s.V1Volume(name=name, empty_dir=_empty(wanted.scratch)) for name in scratch]
    mounts = [k8s.V1VolumeMount(name=name, mount_path=path) for name, path in scratch.items()]
    for one in wanted.volumes:
        volumes.append(_volume(one))
        mounts.append(k8s.V1VolumeMount(name=one.name, mount_path=one.path, read_only=one.read_only))
    return volumes, mounts


def _volume(one: Volume) -> k8s.V1Volume:
    if one.claim is not None:
        claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=one.claim, read_only=one.read_only)
        return k8s.V1Volume(name=one.name, persistent_volume_claim=claim)
    if one.secret is not None:
        return k8s.V1Volume(name=one.name, secret=k8s.V1SecretVolumeSource(secret_name=one.secret))
    if one.config_map is not None:
        return k8s.V1Volume(name=one.name, config_map=k8s.V1ConfigMapVolumeSource(name=one.config_map))
    return k8s.V1Volume(name=one.name, empty_dir=_empty(one.size))


def _empty(size: str | None) -> k8s.V1EmptyDirVolumeSource:
    return k8s.V1EmptyDirVolumeSource(size_limit=size)


def _toleration(one: Toleration) -> k8s.V1Toleration:
    return k8s.V1Toleration(key=one.key, operator=one.operator, value=one.value, effect=one.effect)


def _resources(wanted: StepResources) -> k8s.V1ResourceRequirements:
    """Return requests and limits; a GPU is asked for by its limit."""
    limits = dict(wanted.limits)
    if wanted.gpu:
        limits["nvidia.com/gpu"] = str(wanted.gpu)
    return k8s.V1ResourceRequirements(requests=dict(wanted.requests), limits=limits)
