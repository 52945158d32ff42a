"""The trigger that watches a pod: it bears what passes, tells what does not, and keeps no secret."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from kubernetes_asyncio import client

from include.workflow.pods import trigger as module
from include.workflow.pods.trigger import StepPodTrigger


def pod(phase: str, code: int | None = None, leaving: datetime | None = None) -> client.V1Pod:
    terminated = client.V1ContainerStateTerminated(exit_code=code) if code is not None else None
    state = client.V1ContainerState(terminated=terminated)
    status = client.V1ContainerStatus(
        name="base", image="", image_id="", ready=False, restart_count=0, state=state if terminated else None
    )
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name="shop-gate-1", deletion_timestamp=leaving),
        spec=client.V1PodSpec(containers=[client.V1Container(name="base")]),
        status=client.V1PodStatus(phase=phase, container_statuses=[status] if terminated else None),
    )


class Hook:
    """Answers with each of ``answers`` in turn, then with the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.connections = 0

    @asynccontextmanager
    async def get_conn(self):
        self.connections += 1
        yield self

    async def read_namespaced_pod(self, name: str, namespace: str) -> client.V1Pod:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def event(*answers: Any, trouble: str | None = None) -> dict[str, Any]:
    """Return the payload of the trigger's event when the API server gives these answers."""
    return watched(Hook(*answers), trouble)


def watched(hook: Hook, trouble: str | None = None) -> dict[str, Any]:
    made = StepPodTrigger(
        pod_name="shop-gate-1",
        pod_namespace="ml",
        in_cluster=True,
        config_file=None,
        pending_seconds=60,
        start_seconds=60,
        logging_interval=15,
        poll_interval=0.001,
    )
    made._hook = hook

    async def found(*_: Any) -> str | None:
        return trouble

    made._trouble = found

    async def first() -> Any:
        return [one async for one in made.run()]

    with patch.object(module.client, "CoreV1Api", lambda connection: connection):
        (only,) = asyncio.run(asyncio.wait_for(first(), 10))
    return only.payload


def missing() -> client.ApiException:
    return client.ApiException(status=404, reason="Not Found")


def test_the_end_of_a_pod_is_told_well_or_ill():
    assert event(pod("Pending"), pod("Running"), pod("Succeeded", 0))["status"] == "ended"
    assert event(pod("Running"), pod("Failed", 1))["status"] == "ended"


def test_a_pod_that_vanishes_is_told():
    assert event(pod("Running"), missing())["status"] == "gone"


def test_an_api_server_that_is_away_is_borne(monkeypatch):
    away = [OSError("refused"), client.ApiException(status=503), TimeoutError()]
    assert event(pod("Running"), *away, pod("Succeeded", 0))["status"] == "ended"
    monkeypatch.setattr(module, "SILENCE", timedelta(seconds=0.05))
    told = event(pod("Running"), OSError("refused"))
    assert told["status"] == "lost"


def test_a_pod_on_its_way_out_is_waited_for_until_its_node_counts_as_lost():
    now = datetime.now(UTC)
    assert event(pod("Running", leaving=now), missing())["status"] == "gone"
    told = event(pod("Running", leaving=now - timedelta(minutes=10)))
    assert "node does not answer" in told["message"]


def test_why_a_pod_does_not_start_is_looked_at_while_it_is_pending(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    assert event(pod("Pending"), trouble="no such image") == {
        "status": "stuck",
        "name": "shop-gate-1",
        "namespace": "ml",
        "message": "no such image",
        "last_log_time": None,
    }
    assert event(pod("Running"), pod("Running"), pod("Succeeded", 0), trouble="no such image")["status"] == "ended"


def test_a_triggerer_without_rights_says_so():
    told = event(client.ApiException(status=403, reason="Forbidden"))
    assert told["status"] == "stuck"
    assert "may not read what is in 'ml'" in told["message"]


def test_one_connection_serves_many_looks_until_it_breaks_or_is_old(monkeypatch):
    hook = Hook(*[pod("Running")] * 20, pod("Succeeded", 0))
    assert watched(hook)["status"] == "ended"
    assert hook.connections == 1
    hook = Hook(*[pod("Running")] * 5, OSError("reset"), *[pod("Running")] * 5, pod("Succeeded", 0))
    assert watched(hook)["status"] == "ended"
    assert hook.connections == 2
    monkeypatch.setattr(module, "RENEWED_SECONDS", 0.0005)
    hook = Hook(*[pod("Running")] * 20, pod("Succeeded", 0))
    assert watched(hook)["status"] == "ended"
    assert hook.connections > 5


def test_airflow_keeps_the_path_of_a_kubeconfig_and_not_its_content(tmp_path):
    config = tmp_path / "kubeconfig"
    config.write_text("users: [{name: me, user: {token: swordfish}}]")
    arguments: dict[str, Any] = {"pending_seconds": 1.0, "start_seconds": 1.0, "logging_interval": 1}
    made = StepPodTrigger("p", "ns", in_cluster=False, config_file=str(config), **arguments)
    assert made.hook.config_dict["users"][0]["user"]["token"] == "swordfish"
    path, kept = made.serialize()
    assert "swordfish" not in str(kept)
    again = StepPodTrigger(**kept)
    assert again.serialize() == (path, kept)


@pytest.mark.parametrize("status", [401, 500])
def test_an_answer_that_may_pass_is_not_the_end(status):
    refused = client.ApiException(status=status, reason="later")
    assert event(refused, pod("Succeeded", 0))["status"] == "ended"
