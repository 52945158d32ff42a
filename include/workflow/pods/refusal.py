"""Why the cluster refused a pod, in words that say what to do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

_QUOTA = re.compile(r"exceeded quota: (\S+), requested: (.+), used: (.+), limited: (.+)$")
_NO_ACCOUNT = re.compile(r"serviceaccount \"([^\"]+)\" not found|service account \S+?/(\S+?):")
_USER = re.compile(r'User "([^"]+)"')


@dataclass(frozen=True)
class Refusal:
    """A refused pod.

    Attributes:
        kind: ``wait`` may mend itself (a full quota), ``away`` is the API server's trouble, ``final`` is neither.
        text: what was refused, why, and what to do.
    """

    kind: Literal["wait", "away", "final"]
    text: str


def refusal(status: int, body: str | None, namespace: str) -> Refusal:
    """Return what the API server's answer to the creation of a pod means.

    Args:
        status: HTTP status of the answer.
        body: its body, a Kubernetes ``Status`` as JSON.
        namespace: where the pod was to be.
    """
    message = _message(body)
    if status == 429 or status >= 500:
        return Refusal("away", f"the cluster's API server cannot answer now ({status}: {message})")
    if status == 401:
        return Refusal("final", f"the cluster does not know Airflow (401: {message}); correct kubernetes.config_file")
    if status == 404:
        text = f"the cluster has no namespace '{namespace}' ({message}); create it, or correct kubernetes.namespace"
        return Refusal("final", text)
    if status == 403:
        return _forbidden(message, namespace)
    return Refusal("final", f"the cluster refused the pod ({status}): {message}; correct the step's resources")


def _forbidden(message: str, namespace: str) -> Refusal:
    if found := _QUOTA.search(message):
        quota, requested, used, limited = found.groups()
        text = (
            f"quota '{quota}' of namespace '{namespace}' is exceeded: the pod asks for {requested}, in use are {used}, "
            f"the bound is {limited}"
        )
        if exceeds(requested, limited):
            return Refusal("final", f"{text}; the pod alone is above it: lower the step's resources or raise the quota")
        return Refusal("wait", f"{text}; lower the step's resources, run fewer models at once, or raise the quota")
    if "failed quota" in message:
        return Refusal(
            "final", f"a quota of namespace '{namespace}' asks for more: {message}; set the step's resources"
        )
    if found := _NO_ACCOUNT.search(message):
        account = next(group for group in found.groups() if group)
        text = f"namespace '{namespace}' has no service account '{account}'"
        return Refusal("final", f"{text}; create it, or correct kubernetes.service_account")
    if re.search(r"cannot \w+ resource", message):
        who = found[1] if (found := _USER.search(message)) else "Airflow"
        text = (
            f"'{who}' may not handle pods in namespace '{namespace}' ({message}); bind it to a role that may create, "
            "get, list, watch and delete pods and get pods/log there"
        )
        return Refusal("final", text)
    return Refusal("final", f"a policy of namespace '{namespace}' refused the pod: {message}")


def exceeds(requested: str, limited: str) -> bool:
    """Tell whether a request such as ``cpu=4,memory=1Gi`` is above the bound in any resource that both name."""
    from kubernetes.utils.quantity import parse_quantity

    bounds = dict(part.split("=", 1) for part in limited.split(","))
    wishes = dict(part.split("=", 1) for part in requested.split(","))
    return any(parse_quantity(wishes[name]) > parse_quantity(bounds[name]) for name in wishes.keys() & bounds.keys())


def _message(body: str | None) -> str:
    try:
        answer: Any = json.loads(body or "")
    except ValueError:
        return (body or "no message").strip()[:500]
    return str(answer.get("message", body)) if isinstance(answer, dict) else str(answer)
