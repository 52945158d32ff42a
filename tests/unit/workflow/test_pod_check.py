"""What the cluster has against a model's pods is told before a run begins, each answer once."""

from __future__ import annotations

from typing import Any

import pytest

from include.specs import load_platform, load_spec
from include.workflow.pods.check import pod_problems
from include.workflow.stages import STEPS
from tests.unit.workflow.fake_cluster import error


class Api:
    """Takes every pod but those of ``refused`` steps, and has the named Secrets and ConfigMaps."""

    def __init__(self, refused: dict[str, str], known: set[str]) -> None:
        self.refused, self.known, self.tried = refused, known, []

    def create_namespaced_pod(self, namespace: str, pod: Any, dry_run: str, **_: Any) -> None:
        assert dry_run == "All"
        step = pod.metadata.labels["model-factory/step"]
        self.tried.append(step)
        if step in self.refused:
            raise error(403, "Forbidden", self.refused[step])

    def read_namespaced_secret(self, name: str, namespace: str, **_: Any) -> None:
        if name not in self.known:
            raise error(404, "NotFound")

    read_namespaced_config_map = read_namespaced_secret


@pytest.fixture
def spec(write_spec, monkeypatch):
    monkeypatch.setenv("FACTORY_RUNTIME", "kubernetes")
    load_platform.cache_clear()
    write_spec("shop", more="resources: {search: {secrets: [warehouse]}}")
    return load_spec("shop")


def test_a_pod_of_every_step_is_tried_and_nothing_said_where_nothing_is_wrong(spec):
    api = Api({}, {"factory-config", "factory-secrets", "warehouse"})
    assert list(pod_problems(spec, load_platform(), api)) == []
    assert api.tried == list(STEPS)


def test_what_is_refused_or_missing_is_told_with_its_step(spec):
    quota = "exceeded quota: small, requested: cpu=9, used: cpu=0, limited: cpu=4"
    api = Api({"search": quota}, {"factory-config", "factory-secrets"})
    refused, missing = pod_problems(spec, load_platform(), api)
    assert refused["where"] == "shop: pod of steps search"
    assert "quota 'small'" in refused["message"]
    assert "lower the step's resources" in refused["fix"]
    assert missing["message"] == "namespace 'model-factory' has no Secret 'warehouse'"


def test_what_every_step_gets_is_told_once(spec):
    no_account = 'error looking up service account: serviceaccount "factory-step" not found'
    api = Api(dict.fromkeys(STEPS, no_account), {"factory-config", "factory-secrets", "warehouse"})
    (told,) = pod_problems(spec, load_platform(), api)
    assert told["where"] == "shop: pod of every step"
