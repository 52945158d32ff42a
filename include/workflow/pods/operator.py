"""A step in a pod: the same command line as the process runtime's, and the result manifest is the truth here too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes import client as k8s  # noqa: TID253 - only `runtime` imports this room, for pods alone
from urllib3.exceptions import HTTPError

from include.specs.errors import TemporarilyUnavailableError
from include.specs.platform import load_platform
from include.store.retry import keep_trying
from include.store.runs import Result
from include.workflow.command import StepCall
from include.workflow.links import links_of
from include.workflow.log_lines import repeat
from include.workflow.pods.attempts import Attempt, Attempts
from include.workflow.pods.ending import BASE, Ending, ending_of, memory_limit, more_memory, scaled
from include.workflow.pods.refusal import Refusal, refusal
from include.workflow.pods.trigger import GRACE_SECONDS, StepPodTrigger
from include.workflow.result import conclude, folder_of, skip_without_trouble

_AGAIN = timedelta(seconds=10)
"""How long to wait before a full quota is asked again, or whether an old pod has gone."""


class StepPodOperator(KubernetesPodOperator):
    """Run one step in a pod; see `include.workflow.operator.StepOperator`, whose twin it is.

    Of KubernetesPodOperator it keeps how a pod is described, and the client. The pod's life it leads itself: the
    provider deletes a pod that succeeded unseen and runs it again, gives up on an API server that is away for seconds,
    and waits ten minutes for what can never start. Here a pod's name is kept before the pod is made (`Attempts`), so
    that any worker, after any restart, finds that pod or makes it; and nothing is believed but the result.

    Attributes:
        call: which step.
        mends: run only when one of these tasks failed or rejected the run; always when empty.
        place: which of several tasks that run the step at the same time, from 1; None when it is the only one.
        pending: how long a pod may wait for room.
        start: how long it may take to start once it has a node.
        memory_bound: how far the memory limit of a pod that ran out of memory may grow.
    """

    def __init__(
        self,
        *,
        call: StepCall,
        pending: timedelta,
        start: timedelta,
        memory_bound: str,
        mends: Sequence[str] = (),
        place: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arguments=call.at(place).arguments(),
            kubernetes_conn_id=None,
            deferrable=True,
            base_container_name=BASE,
            random_name_suffix=False,
            termination_grace_period=GRACE_SECONDS,
            **kwargs,
        )
        self.call, self.place, self.mends = call.at(place), place, tuple(mends)
        self.labels = {**self.labels, "model-factory/step": self.call.task}
        self.pending, self.start, self.memory_bound = pending, start, memory_bound
        self.links: dict[str, str] = {}
        self.operator_extra_links = links_of(call.step)

    @cached_property
    def hook(self) -> KubernetesHook:
        """The client, as the platform's settings say; no Airflow connection is looked up."""
        return KubernetesHook(
            conn_id=None, kubernetes_conn_id=None, in_cluster=self.in_cluster, config_file=self.config_file
        )

    def execute(self, context: Any) -> Any:
        """Start the pod, or find the one that an earlier worker started, and wait for it in the triggerer."""
        if self.mends:
            skip_without_trouble(self.call, context, self.mends)
        return self.go_on(context)

    def go_on(self, context: Any, event: Any = None) -> Any:
        """Take up the task where it stands; also called again where there was no room for the pod."""
        attempts = Attempts(context)
        attempt, pod = attempts.read(), None
        if attempt.open:
            pod = self._asked(lambda: self._read(attempt.pod))
        else:
            earlier = folder_of(self.call, context).find(self.call.task)
            name = f"{self.call.model}-{self.call.task}".replace("_", "-")
            attempt = attempts.write(attempt.next(name, earlier.ended if earlier else None))
        if pod is None:
            if self._result(context, attempt) is not None:
                return self._end(context, attempts, attempt, None)
            pod = self._create(context, attempts, attempt)
        else:
            self.log.info("Found pod %s in phase %s", attempt.pod, pod.status.phase)
            if pod.status.phase in ("Succeeded", "Failed"):
                return self._end(context, attempts, attempt, pod)
        self.pod = pod
        context["ti"].xcom_push(key="pod_name", value=attempt.pod)
        self._watch(attempt)
        return None

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        """Go on when the triggerer says that the pod has ended, is gone, or will not start."""
        attempts = Attempts(context)
        attempt = attempts.read()
        if event["status"] == "lost":
            raise AirflowException(f"{event['message']}; pod {attempt.pod} is looked for again at the next try")
        pod = self._asked(lambda: self._read(attempt.pod))
        if event["status"] == "stuck":
            return self._give_up(attempts, attempt, pod, event["message"])
        if pod is not None:
            self._tell_log(pod, event.get("last_log_time"))
        return self._end(context, attempts, attempt, pod)

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """Return the pod, with labels that Kubernetes takes: a long run id is cut, and a digest added."""
        made = super().build_pod_request_obj(context, dry_run=dry_run)
        made.metadata.labels = {key: make_safe_label_value(str(value)) for key, value in made.metadata.labels.items()}
        return made

    def _create(self, context: Any, attempts: Attempts, attempt: Attempt) -> Any:
        """Return the pod, made just now or by a worker that was cut off before it could say so."""
        wanted = self.build_pod_request_obj(context)
        wanted.metadata.name = attempt.pod
        wanted.metadata.labels["model-factory/attempt"] = str(attempt.number)
        if attempt.memory is not None:
            _give(wanted, attempt.memory)
        answer = self._asked(lambda: self._try_to_create(wanted))
        if not isinstance(answer, Refusal):
            self.log.info("Started pod %s (attempt %s)", attempt.pod, attempt.number)
            return answer
        if answer.kind == "away":
            raise AirflowException(answer.text)
        if answer.kind == "final":
            attempts.close(attempt)
            raise AirflowFailException(answer.text)
        return self._wait(attempts, attempt, answer.text)

    def _try_to_create(self, wanted: Any) -> Any:
        try:
            return self.client.create_namespaced_pod(self.namespace, wanted)
        except k8s.ApiException as error:
            if error.status == 409 and "AlreadyExists" in (error.body or ""):
                return self._read(wanted.metadata.name)
            return refusal(error.status or 500, error.body, str(self.namespace))

    def _wait(self, attempts: Attempts, attempt: Attempt, text: str) -> None:
        """Ask again soon, without a worker; give up when it takes too long."""
        attempt = attempts.write(attempt.began_waiting())
        if attempt.waiting is not None and datetime.now(UTC) - attempt.waiting > self.pending:
            attempts.close(attempt)
            raise AirflowFailException(f"there was no room within {self.pending}: {text}")
        self.log.warning("Waiting for room: %s", text)
        self.defer(trigger=TimeDeltaTrigger(_AGAIN), method_name="go_on")

    def _watch(self, attempt: Attempt) -> None:
        self.defer(
            trigger=StepPodTrigger(
                pod_name=attempt.pod,
                pod_namespace=str(self.namespace),
                in_cluster=bool(self.in_cluster),
                config_file=self.config_file,
                pending_seconds=self.pending.total_seconds(),
                start_seconds=self.start.total_seconds(),
                logging_interval=int(self.logging_interval or 0),
            ),
            method_name="trigger_reentry",
        )

    def _end(self, context: Any, attempts: Attempts, attempt: Attempt, pod: Any | None) -> Any:
        """Give the task the state that the result asks for; the pod's own end matters only when there is none."""
        ending, result = ending_of(pod), self._result(context, attempt)
        if ending.kind == "out_of_memory" and (result is None or (result.status == "failed" and result.retryable)):
            self._more_memory(attempts, attempt, pod, ending)
        attempts.close(attempt)
        if result is not None:
            self._tidy(pod, ending)
            self.links = result.links
            small = conclude(self.call, context, result, ending.text)
            # the provider's do_xcom_push means its sidecar, and switches Airflow's own push off
            context["ti"].xcom_push(key="return_value", value=small)
            return small
        if ending.kind == "deadline":
            raise AirflowFailException(f"{ending.text}; raise the 'deadline' of step '{self.call.step}'")
        if ending.kind == "disrupted":
            raise AirflowException(f"{ending.text}; the next try starts the step anew")
        return conclude(self.call, context, None, ending.text)

    def _more_memory(self, attempts: Attempts, attempt: Attempt, pod: Any, ending: Ending) -> None:
        """Let the next try have twice the memory.

        Raises:
            AirflowFailException: the bound is reached.
            AirflowException: the next try has more memory.
        """
        limit = memory_limit(pod)
        told = (*attempt.told, f"attempt {attempt.number}: {limit or 'no limit'} was too little")
        more = more_memory(limit, self.memory_bound) if limit else None
        attempts.close(attempt, memory=more or attempt.memory, told=told)
        shown = "; ".join(told)
        if limit and more is None:
            raise AirflowFailException(
                f"step '{self.call.step}' ran out of memory, and the bound of {self.memory_bound} is reached: {shown}. "
                f"Raise kubernetes.memory_bound or resources.{self.call.step}.memory_bound, or use fewer rows"
            )
        gets = f"the next try gets {more}" if more else "the next try is the same, as there is no limit to raise"
        self.log.warning("OUT OF MEMORY: %s; %s", ending.text, gets)
        raise AirflowException(f"step '{self.call.step}' ran out of memory ({shown}); {gets}")

    def _give_up(self, attempts: Attempts, attempt: Attempt, pod: Any | None, message: str) -> None:
        attempts.close(attempt)
        if pod is not None:
            self._delete(pod)
        raise AirflowFailException(f"pod {attempt.pod} of step '{self.call.step}' cannot start: {message}")

    def _result(self, context: Any, attempt: Attempt) -> Result | None:
        """Return the attempt's result; one that lay there before its pod was made proves nothing."""
        found = folder_of(self.call, context).find(self.call.task)
        return None if found is None or found.ended.isoformat() == attempt.earlier else found

    def _read(self, name: str) -> Any | None:
        try:
            return self.client.read_namespaced_pod(name, self.namespace)
        except k8s.ApiException as error:
            if error.status != 404:
                raise
            return None

    def _asked(self, call: Any) -> Any:
        """Return ``call()``; an API server that does not answer is asked again for a while.

        Raises:
            AirflowException: it stayed away; the next try asks again.
            AirflowFailException: it refused.
        """
        seconds = load_platform().service_retry_seconds
        try:
            return keep_trying(call, "the cluster's API server", seconds, (HTTPError, OSError), "is it up?")
        except TemporarilyUnavailableError as error:
            raise AirflowException(str(error)) from error
        except k8s.ApiException as error:
            answer = refusal(error.status or 500, error.body, str(self.namespace))
            final = AirflowFailException if answer.kind == "final" else AirflowException
            raise final(answer.text) from error

    def _tell_log(self, pod: Any, since: str | None) -> None:
        """Write into the task's log what the step said since ``since``."""
        options: dict[str, Any] = {"container": BASE, "timestamps": True, "_preload_content": False}
        if since:
            began = datetime.fromisoformat(since)
            options["since_seconds"] = max(1, int((datetime.now(UTC) - began).total_seconds()) + 1)
        try:
            answer = self.client.read_namespaced_pod_log(pod.metadata.name, self.namespace, **options)
            for line in answer.data.decode(errors="replace").splitlines():
                said_at, _, text = line.partition(" ")
                if text and (not since or said_at[:19] >= since[:19]):
                    repeat(text, self.log)
        except (k8s.ApiException, HTTPError) as error:
            self.log.warning("The log of pod %s cannot be read: %s", pod.metadata.name, error)

    def _tidy(self, pod: Any | None, ending: Ending) -> None:
        """Delete a pod that did what it should; one that failed is kept for a look."""
        if pod is not None and ending.kind in ("succeeded", "disrupted"):
            self._delete(pod)

    def _delete(self, pod: Any) -> None:
        with suppress(k8s.ApiException, HTTPError):
            self.client.delete_namespaced_pod(pod.metadata.name, self.namespace, grace_period_seconds=0)


def _give(pod: Any, memory: str) -> None:
    """Raise the container's memory limit to ``memory``, and its request in proportion."""
    resources = pod.spec.containers[0].resources
    before, limits, requests = resources.limits["memory"], dict(resources.limits), dict(resources.requests or {})
    if "memory" in requests:
        requests["memory"] = scaled(requests["memory"], before, memory)
    resources.limits, resources.requests = {**limits, "memory": memory}, requests
