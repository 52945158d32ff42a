"""The Kubernetes API as a target needs it: objects of one kind, their pods, and requests to a pod."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from include.release.cluster.kind import Resource
from include.release.cluster.names import MANAGER
from include.release.target import TargetError
from include.specs import Platform
from include.store.retry import keep_trying

SECONDS = 30.0
_AWAY = frozenset({429, 500, 502, 503, 504})
_FIX = "look after it, or correct FACTORY_KUBERNETES__CONFIG_FILE, then run the step again"
Document = dict[str, Any]


class ConflictError(TargetError):
    """The object was changed by somebody else since it was read."""


class RefusedError(TargetError):
    """The API server refuses what it is told to keep: a schema, a webhook or a quota says no."""


class _AwayError(Exception):
    """The API server did not answer, or answered that it cannot now."""


class ClusterApi:
    """Speaks to the API server for one kind of object in one namespace.

    Args:
        platform: how the server is reached: from within a pod, or by a kubeconfig file.
        resource: the kind.
        namespace: the namespace.
    """

    def __init__(self, platform: Platform, resource: Resource, namespace: str) -> None:
        self._platform, self._resource, self._namespace = platform, resource, namespace
        self._objects = f"/apis/{resource.group}/{resource.version}/namespaces/{namespace}/{resource.plural}"
        self._core = f"/api/v1/namespaces/{namespace}"

    # Objects

    def read(self, name: str) -> Document | None:
        """Return the object, or None when there is none.

        Raises:
            TargetError: the cluster does not know the kind, or does not let us read it.
        """
        status, body = self._send("GET", f"{self._objects}/{name}")
        if status == 404 and _is_status(body):
            return None
        return self._checked(status, body, f"to read {self._resource.kind} {name}")

    def apply(self, manifest: Mapping[str, Any], version: str | None = None) -> Document:
        """Make the object as ``manifest`` says (server-side apply), and return it.

        Args:
            manifest: the whole of what the factory wants.
            version: the object's resourceVersion when it was read, None when there was none.

        Raises:
            ConflictError: it was changed since.
            RefusedError: a schema, webhook or quota refuses it.
        """
        name = manifest["metadata"]["name"]
        document = json.loads(json.dumps(manifest))
        if version is not None:
            document["metadata"]["resourceVersion"] = version
        query = urlencode({"fieldManager": MANAGER, "force": "true"})
        status, body = self._send(
            "PATCH", f"{self._objects}/{name}?{query}", document, {"Content-Type": "application/apply-patch+yaml"}
        )
        if status == 409:
            raise ConflictError(f"{self._resource.kind} {name} was changed by somebody else: {_message(body)}")
        return self._checked(status, body, f"{self._resource.kind} {name}")

    def delete(self, name: str) -> None:
        """Take the object and all that it owns away; harmless when it is gone."""
        status, body = self._send("DELETE", f"{self._objects}/{name}", {"propagationPolicy": "Background"})
        if not (status == 404 and _is_status(body)):
            self._checked(status, body, f"to delete {self._resource.kind} {name}")

    # Pods

    def pods(self, labels: Mapping[str, str]) -> list[Document]:
        """Return the pods that bear all of ``labels`` and are not about to end."""
        selector = urlencode({"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())})
        status, body = self._send("GET", f"{self._core}/pods?{selector}")
        items: list[Document] = self._checked(status, body, "to list pods")["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def refusals(self, prefix: str) -> list[str]:
        """Return why pods could not even be made for objects whose name begins with ``prefix``, the last one last."""
        query = urlencode({"fieldSelector": "reason=FailedCreate"})
        status, body = self._send("GET", f"{self._core}/events?{query}")
        events = self._checked(status, body, "to list events")["items"] if status < 300 else []
        events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        return [event["message"] for event in events if event["involvedObject"]["name"].startswith(prefix)]

    def log(self, pod: str, container: str, lines: int) -> str:
        """Return the last lines of a container's log, of the one before when it was started anew; empty without one."""
        for previous in ("true", "false"):
            query = urlencode({"container": container, "tailLines": lines, "previous": previous})
            status, body = self._send("GET", f"{self._core}/pods/{pod}/log?{query}")
            if status < 300 and body.strip():
                return body.decode(errors="replace").strip()
        return ""

    def ask(
        self,
        pod: str,
        port: int,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> tuple[int, bytes]:
        """Send one request to a pod through the API server, without trying again; return status and body.

        The server keeps ``Authorization`` for itself: a key for the pod goes into another header.

        Raises:
            OSError: no answer came.
        """
        try:
            return self._once(
                method, f"{self._core}/pods/{quote(pod)}:{port}/proxy{path}", body, headers or {}, seconds
            )
        except _AwayError as error:
            raise OSError(str(error)) from error

    # Requests

    def _send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body; while the server is away the request is made again."""

        def attempt() -> tuple[int, bytes]:
            status, answer = self._once(method, path, body, headers or {}, SECONDS)
            if status in _AWAY:
                raise _AwayError(f"{status} {_message(answer)}")
            return status, answer

        service = f"Kubernetes API server at {self._client.configuration.host}"
        return keep_trying(attempt, service, self._platform.service_retry_seconds, (_AwayError,), _FIX)

    def _once(self, method: str, path: str, body: Any, headers: Mapping[str, str], seconds: float) -> tuple[int, bytes]:
        from urllib3.exceptions import HTTPError

        sent = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        self._client.update_params_for_auth(sent, [], ["BearerToken"])
        try:
            response = self._client.rest_client.pool_manager.request(
                method, f"{self._client.configuration.host}{path}",
                body=None if body is None else json.dumps(body), headers=sent, timeout=seconds, retries=False,
            )  # fmt: skip
        except HTTPError as error:
            raise _AwayError(f"{type(error).__name__}: {error}") from error
        return int(response.status), bytes(response.data)

    @cached_property
    def _client(self) -> Any:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException

        settings, configuration = self._platform.kubernetes, client.Configuration()
        try:
            if settings.in_cluster:
                config.load_incluster_config(client_configuration=configuration)
            else:
                config.load_kube_config(config_file=settings.config_file, client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise TargetError(
                f"no way to a Kubernetes cluster: {error}; in a pod mount its service account's token, elsewhere set "
                "FACTORY_KUBERNETES__IN_CLUSTER=false and FACTORY_KUBERNETES__CONFIG_FILE"
            ) from error
        return client.ApiClient(configuration)

    def _checked(self, status: int, body: bytes, what: str) -> Document:
        """Return the body of a good answer; turn any other into an error that says what to do."""
        if status < 300:
            document: Document = json.loads(body)
            return document
        message = _message(body)
        if status == 401:
            raise TargetError(f"the cluster does not know who we are ({message}); renew the kubeconfig or the token")
        if status == 403 and " cannot " in message:
            raise TargetError(
                f"the cluster does not let us: {message}; give the steps' service account the role of releases (RBAC)"
            )
        if status == 404 and not _is_status(body):
            raise TargetError(f"the cluster knows no {self._resource.plural}: {self._resource.install}")
        if status == 404:
            raise TargetError(f"{message}; make namespace '{self._namespace}', or set cluster_target.namespace")
        raise RefusedError(f"the cluster refuses {what}: {message}; nothing was changed")


def _is_status(body: bytes) -> bool:
    """Tell whether the API server's machinery answered: it does for a kind that it knows, and says a line otherwise."""
    return body.lstrip().startswith(b"{")


def _message(body: bytes) -> str:
    """Return what the server said: the message of its Status, or the beginning of the text."""
    try:
        return str(json.loads(body)["message"])[:1000]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:300]
