"""Ask the cluster whether it would take each step's pod: ``python -m include.workflow.pods.check MODEL…``.

A server-side dry run sends the rendered pod and makes nothing: what a quota, a policy, a wrong name or a missing
service account would refuse is told before a run begins. ``make check`` calls this, and prints its answer: a JSON list
of problems (model, where, message, fix).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from include.specs import ModelSpec, Platform, load_platform, load_spec
from include.workflow.command import StepCall
from include.workflow.stages import STEPS

WAIT_SECONDS = 10
"""How long the cluster may take to answer."""


def pod_problems(spec: ModelSpec, platform: Platform, api: Any) -> Iterator[dict[str, str]]:
    """Yield what the cluster has against the pods of ``spec``; each different answer once, for the steps that get it.

    Args:
        spec: the model.
        platform: its runtime is kubernetes.
        api: the Kubernetes client's ``CoreV1Api``.
    """
    from kubernetes.client import ApiException

    from include.workflow.pods.refusal import refusal

    namespace = platform.kubernetes.namespace
    answers: dict[str, list[str]] = {}
    for step in STEPS:
        try:
            api.create_namespaced_pod(
                namespace, _pod(spec, platform, step), dry_run="All", _request_timeout=WAIT_SECONDS
            )
        except ApiException as error:
            answers.setdefault(refusal(error.status or 500, error.body, namespace).text, []).append(step)
    for text, steps in answers.items():
        shown = "every step" if len(steps) == len(STEPS) else f"steps {', '.join(steps)}"
        yield _problem(spec.name, shown, text)
    yield from _missing_sources(spec, platform, api)


def _missing_sources(spec: ModelSpec, platform: Platform, api: Any) -> Iterator[dict[str, str]]:
    """Yield the Secrets and ConfigMaps that pods name and the namespace does not have; a dry run does not look."""
    from kubernetes.client import ApiException

    cluster = platform.kubernetes
    wishes = [spec.step_resources(step).over(cluster.resources) for step in STEPS]
    maps = {cluster.config_map, *(name for wish in wishes for name in wish.config_maps)} - {None}
    secrets = {cluster.secret, *(name for wish in wishes for name in wish.secrets)} - {None}
    kinds = [("ConfigMap", name, api.read_namespaced_config_map) for name in maps]
    kinds += [("Secret", name, api.read_namespaced_secret) for name in secrets]
    for kind, name, read in sorted(kinds, key=lambda one: one[:2]):
        try:
            read(name, cluster.namespace, _request_timeout=WAIT_SECONDS)
        except ApiException as error:
            if error.status == 404:
                text = f"namespace '{cluster.namespace}' has no {kind} '{name}'; its pods would not start"
                yield _problem(spec.name, f"{kind} {name}", text)


def _pod(spec: ModelSpec, platform: Platform, step: str) -> Any:
    """Return the pod of ``step`` as a run would ask for it."""
    from include.workflow.pods.build import pod_operator

    call = StepCall(spec.name, "check", step, step)
    pod = pod_operator(spec, platform.kubernetes, call, task_id=step).build_pod_request_obj(dry_run=True)
    pod.metadata.name += "-check"
    pod.metadata.labels["model-factory/run"] = "check"
    return pod


def _problem(model: str, place: str, text: str) -> dict[str, str]:
    message, _, fix = text.partition("; ")
    return {"model": model, "where": f"{model}: pod of {place}", "message": message, "fix": fix}


def main(models: Sequence[str]) -> int:
    """Print the problems of ``models``; return 0 when the cluster was asked, 1 when it could not be."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    platform = load_platform()
    try:
        if platform.kubernetes.in_cluster:
            config.load_incluster_config()
        else:
            config.load_kube_config(config_file=platform.kubernetes.config_file)
        api = client.CoreV1Api()
        found = [one for model in models for one in pod_problems(load_spec(model), platform, api)]
    except (config.ConfigException, HTTPError) as error:
        print(f"the cluster could not be asked: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    import logging

    logging.disable(logging.INFO)
    sys.exit(main(sys.argv[1:]))
