"""Several workers on one port are one server: they agree on routes, count together, and one that dies is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import httpx
import pytest

from include.specs import Platform
from tests.integration.serving.server import Server
from tests.integration.serving.test_durability import calling, recorded
from tests.model_packages import ROW, churn, put


@pytest.fixture
def server(serve: Callable[..., Server], platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("FACTORY_SERVING__WORKERS", "2")
    for number, runtime in ((1, "onnx"), (2, "sklearn")):
        put(platform.home, "churn", number, churn(number), runtime)
    server = serve().start()
    server.route("churn", ("champion", 1, 100)).raise_for_status()
    return server


def workers(server: Server) -> list[int]:
    """Return the process ids of the workers."""
    assert server.process
    found = subprocess.run(
        ["pgrep", "-P", str(server.process.pid), "-f", "include.serving --host"], capture_output=True, text=True, check=False
    )  # fmt: skip
    return sorted(map(int, found.stdout.split()))


def ask_everyone(server: Server, times: int = 40) -> list[httpx.Response]:
    """Ask over many connections, so that each worker gets some."""
    responses = []
    for _ in range(times):
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            responses.append(client.post("/v1/models/churn/predict", json={"features": ROW}))
    return responses


def metric(server: Server, name: str) -> float:
    text = server.http.get("/metrics").text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_workers_agree_on_routes_and_count_together(server: Server) -> None:
    wait_for(lambda: len(workers(server)) == 2)
    for swap in range(6):
        version = str(1 + swap % 2)
        server.route("churn", ("champion", int(version), 100)).raise_for_status()
        answers = [response.json()["version"] for response in ask_everyone(server)]
        assert set(answers) == {version}  # whichever worker answers has swapped already
    seen = server.statistics("churn")
    assert seen["variants"]["champion"]["requests"] == 40
    wait_for(lambda: metric(server, "factory_predictions_total") == 6 * 40)

    loaded = server.http.post("/v1/models/churn/versions/1/load", headers=server.key)
    assert loaded.status_code == 200
    for _ in range(20):
        path = "/v1/models/churn/versions/1/predict"
        assert httpx.post(f"{server.url}{path}", json={"features": ROW}, trust_env=False).status_code == 200

    assert server.http.delete("/v1/routes/churn", headers=server.key).status_code == 200
    assert {response.status_code for response in ask_everyone(server)} == {404}
    assert server.route("churn", ("champion", 1, 100)).json()["revision"] > 7


def test_a_worker_that_is_killed_loses_no_acknowledged_prediction_and_no_count(
    server: Server, platform: Platform
) -> None:
    wait_for(lambda: len(workers(server)) == 2)
    ask_everyone(server)
    wait_for(lambda: metric(server, "factory_predictions_total") == 40)
    victim = workers(server)[0]
    with calling(server) as callers:
        callers.wait_for_answers()
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len({*workers(server)} - {victim}) == 2)
        callers.wait_for_answers()
    acknowledged = set(callers.acknowledged)
    assert acknowledged - recorded(platform, "churn", acknowledged) == set()
    assert all("Error" in failure for failure in callers.failed)  # its own connections broke; nobody got an error
    wait_for(lambda: metric(server, "factory_predictions_total") >= 40)
    assert metric(server, "factory_worker_restarts_total") == 1
    assert {response.status_code for response in ask_everyone(server)} == {200}


def test_no_worker_outlives_the_server(server: Server) -> None:
    wait_for(lambda: len(workers(server)) == 2)
    left = workers(server)
    server.kill()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in left))  # noqa: PTH110 - of a zombie neither
    server.start()
    assert {response.status_code for response in ask_everyone(server, 5)} == {200}
    assert server.stop() == 0
