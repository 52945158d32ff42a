"""The pod runtime: the same step, the same command line, in a pod; the result manifest is the truth here too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException
from kubernetes import client as k8s  # noqa: TID253 - only `runtime` imports this module, for pods alone

from include.workflow.links import links_of
from include.workflow.result import conclude, fresh_result, skip_without_trouble

if TYPE_CHECKING:
    from include.specs import ModelSpec
    from include.specs.platform import Kubernetes
    from include.specs.training import StepResources
    from include.workflow.command import StepCall

REJECTED_EXIT_CODE = 10
STARTUP_SECONDS = 600
"""How long a pod may wait for a node and its image."""


class StepPodOperator(KubernetesPodOperator):
    """Run one step in a pod; see `include.workflow.operator.StepOperator`, whose twin it is.

    A pod's side channel is known to get lost, so nothing is read from it. While the pod runs the task waits in the
    triggerer; a restart of any part of Airflow finds the pod again by the identity that Airflow keeps.
    """

    def __init__(self, *, call: StepCall, mends: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.call = call
        self.mends = tuple(mends)
        self.links: dict[str, str] = {}
        self.operator_extra_links = links_of(call.step)

    def execute(self, context: Any) -> Any:
        """Start the pod, or find the one that an earlier worker started, and wait for it."""
        if self.mends:
            skip_without_trouble(self.call, context, self.mends)
        try:
            super().execute(context)
        except AirflowException as error:
            return self._conclude(context, error)
        return self._conclude(context, None)

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        """Go on when the triggerer says that the pod has ended, or that there are new log lines."""
        try:
            super().trigger_reentry(context, event)
        except AirflowException as error:
            return self._conclude(context, error)
        return self._conclude(context, None)

    def _conclude(self, context: Any, error: AirflowException | None) -> dict[str, Any]:
        """Read the result; the pod's own end matters only when there is none."""
        result = fresh_result(self.call, context, self._created())
        if result is None and error is not None:
            raise error
        self.links = result.links if result is not None else {}
        return conclude(self.call, context, result, "the pod ended")

    def _created(self) -> datetime | None:
        """Return when the pod was made; a result from before then is an earlier try's."""
        pod = self.remote_pod or self.pod
        created: datetime | None = pod.metadata.creation_timestamp if pod is not None else None
        return created


def pod_operator(
    spec: ModelSpec, cluster: Kubernetes, call: StepCall, mends: Sequence[str] = (), **kwargs: Any
) -> StepPodOperator:
    """Return the task that runs ``call`` in a pod: what the spec asks for, where the platform says."""
    wanted = spec.step_resources(call.step)
    label = {
        "app.kubernetes.io/name": "model-factory",
        "app.kubernetes.io/component": "step",
        "model-factory/model": call.model,
        "model-factory/pipeline": call.pipeline,
        "model-factory/run": f"{{{{ run_name('{call.pipeline}', run_id) }}}}",
        "model-factory/step": call.task,
    }
    return StepPodOperator(
        call=call,
        mends=mends,
        name=f"{call.model}-{call.task}".replace("_", "-"),
        namespace=cluster.namespace,
        image=wanted.image or cluster.image,
        image_pull_policy=cluster.image_pull_policy,
        cmds=["python"],
        arguments=call.arguments(),
        labels=label,
        env_from=_environment(cluster),
        container_resources=_resources(wanted),
        node_selector=wanted.node_selector,
        service_account_name=cluster.service_account,
        in_cluster=cluster.in_cluster,
        config_file=cluster.config_file,
        security_context=k8s.V1PodSecurityContext(run_as_non_root=True),
        container_security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
        ),
        deferrable=True,
        durable=True,
        logging_interval=30,
        startup_timeout_seconds=STARTUP_SECONDS,
        skip_on_exit_code=REJECTED_EXIT_CODE,
        on_finish_action="delete_succeeded_pod",
        on_kill_action="delete_pod",
        log_pod_spec_on_failure=False,
        termination_message_policy="FallbackToLogsOnError",
        **kwargs,
    )


def _environment(cluster: Kubernetes) -> list[k8s.V1EnvFromSource]:
    """Return where the pod's environment comes from, by reference: nothing secret stands in the pod's spec."""
    sources = []
    if cluster.config_map is not None:
        sources.append(k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name=cluster.config_map)))
    if cluster.secret is not None:
        sources.append(k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=cluster.secret)))
    return sources


def _resources(wanted: StepResources) -> k8s.V1ResourceRequirements:
    """Return requests and limits; a GPU is asked for by its limit."""
    limits = dict(wanted.limits)
    if wanted.gpu:
        limits["nvidia.com/gpu"] = str(wanted.gpu)
    return k8s.V1ResourceRequirements(requests=dict(wanted.requests), limits=limits)
