"""The trigger that watches a step's pod, in Airflow's triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError
from airflow.providers.cncf.kubernetes.exceptions import KubernetesApiError
from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
from airflow.providers.cncf.kubernetes.triggers.pod import ContainerState, KubernetesPodTrigger
from airflow.triggers.base import TriggerEvent
from kubernetes_asyncio import client
from urllib3.exceptions import HTTPError

from include.workflow.pods.ending import BASE
from include.workflow.pods.startup import startup_trouble

GRACE_SECONDS = 5
"""How long a step's process may take to stop; it has nothing to save, as only a whole result counts."""
SILENCE = timedelta(minutes=30)
"""How long the API server may be away before the task's next try asks it again."""
LOST = timedelta(minutes=2)
"""How long a pod may be on its way out before its node counts as lost."""
RENEWED_SECONDS = 60.0
"""How long a connection to the API server is used: making one costs more than a look, and tokens do not last."""
_AWAY = (KubernetesApiError, ClientError, HTTPError, OSError, asyncio.TimeoutError)
_LOOK_SECONDS = 5.0
"""Least time between two looks at why a pod does not start."""


class StepPodTrigger(KubernetesPodTrigger):
    """Watch one pod until it ends, is gone, or will surely never start.

    Of the provider's trigger it keeps the client and the deletion of the pod when a person ends the task. Unlike that
    it bears an API server that is away, tells early why a pod cannot start, and keeps no kubeconfig in Airflow's
    database. It holds no state: a triggerer that takes over begins anew and sees the same.
    """

    def __init__(
        self,
        pod_name: str,
        pod_namespace: str,
        in_cluster: bool,
        config_file: str | None,
        pending_seconds: float,
        start_seconds: float,
        logging_interval: int,
        poll_interval: float = 1.0,
    ) -> None:
        super().__init__(
            pod_name=pod_name,
            pod_namespace=pod_namespace,
            trigger_start_time=datetime.now(UTC),
            base_container_name=BASE,
            in_cluster=in_cluster,
            poll_interval=poll_interval,
            termination_grace_period=GRACE_SECONDS,
            logging_interval=logging_interval,
        )
        self.config_file = config_file
        self._looked = self._logged = time.monotonic()
        self._log_seconds = float(logging_interval)
        self.pending, self.start = timedelta(seconds=pending_seconds), timedelta(seconds=start_seconds)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again in the triggerer."""
        return "include.workflow.pods.trigger.StepPodTrigger", {
            "pod_name": self.pod_name,
            "pod_namespace": self.pod_namespace,
            "in_cluster": self.in_cluster,
            "config_file": self.config_file,
            "pending_seconds": self.pending.total_seconds(),
            "start_seconds": self.start.total_seconds(),
            "logging_interval": self.logging_interval,
            "poll_interval": self.poll_interval,
        }

    @property
    def hook(self) -> AsyncKubernetesHook:
        """The client; its kubeconfig is read here, where the triggerer runs."""
        if self._hook is None:
            config = None
            if not self.in_cluster and self.config_file:
                import yaml

                with open(self.config_file, encoding="utf-8") as file:  # noqa: PTH123 - read once, a few kB
                    config = yaml.safe_load(file)
            self._hook = AsyncKubernetesHook(
                kubernetes_conn_id=None, in_cluster=self.in_cluster, config_dict=config, connection_extras={}
            )
        return self._hook

    _hook: AsyncKubernetesHook | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``ended``, ``gone``, ``stuck`` or ``lost``, with a message."""
        heard = time.monotonic()
        event = None
        while event is None:
            try:
                async with self.hook.get_conn() as connection:
                    api, made = client.CoreV1Api(connection), time.monotonic()
                    while event is None and time.monotonic() - made < RENEWED_SECONDS:
                        event = await self._look(api)
                        heard = time.monotonic()
                        if event is None:
                            await asyncio.sleep(self.poll_interval)
            except client.ApiException as error:
                if error.status == HTTPStatus.FORBIDDEN:
                    refused = f"the triggerer may not read what is in '{self.pod_namespace}': {error}"
                    event = self._event("stuck", refused)
                else:
                    self.log.warning("The API server answered %s: %s", error.status, error.reason)
            except _AWAY as error:
                self.log.warning("The API server is away: %r", error)
            if event is None and time.monotonic() - heard > SILENCE.total_seconds():
                event = self._event("lost", f"the API server was away for {SILENCE}")
            if event is None:
                await asyncio.sleep(self.poll_interval)
        yield event

    async def _look(self, api: client.CoreV1Api) -> TriggerEvent | None:
        """Look at the pod once; return the event that ends the watch, or None to go on."""
        try:
            pod = await api.read_namespaced_pod(self.pod_name, self.pod_namespace)
        except client.ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return self._event("gone", "the pod is gone")
        if event := self._end(pod):
            return event
        now = time.monotonic()
        if pod.status.phase == "Pending" and now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if trouble := await self._trouble(api, pod):
                return self._event("stuck", trouble)
        if pod.status.phase == "Running" and now - self._logged > self._log_seconds:
            self._logged = now
            self.last_log_time = await self.pod_manager.fetch_container_logs_before_current_sec(
                pod, container_name=BASE, since_time=self.last_log_time
            )
        return None

    def _end(self, pod: Any) -> TriggerEvent | None:
        if self.define_pod_container_state(pod) in (ContainerState.TERMINATED, ContainerState.FAILED):
            return self._event("ended", "")
        leaving = pod.metadata.deletion_timestamp
        if leaving is not None and datetime.now(UTC) - leaving > LOST:
            return self._event("gone", f"the pod is being deleted since {leaving}; its node does not answer")
        return None

    async def _trouble(self, api: client.CoreV1Api, pod: Any) -> str | None:
        of_pod = f"involvedObject.name={self.pod_name}"
        events = (await api.list_namespaced_event(self.pod_namespace, field_selector=of_pod)).items
        try:
            nodes = (await api.list_node()).items
        except client.ApiException as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            nodes = None
        return startup_trouble(pod, events, nodes, datetime.now(UTC), self.pending, self.start)

    def _event(self, status: str, message: str) -> TriggerEvent:
        self._fired_event = True
        since = self.last_log_time.isoformat() if self.last_log_time else None
        return TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "status": status,
                "name": self.pod_name,
                "namespace": self.pod_namespace,
                "message": message,
                "last_log_time": since,
            }
        )
