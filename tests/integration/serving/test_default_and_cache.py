"""The default model, and answers from the prediction cache: recorded and counted like others, Redis there or not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from include.specs import Platform
from tests.integration.serving.server import Server
from tests.integration.serving.test_durability import recorded
from tests.load.stores import redis_running
from tests.model_packages import ROW, churn, house, put


def test_the_only_model_is_the_default_one_until_the_setting_names_another(
    serve: Callable[..., Server], platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, package in (("churn", churn()), ("house", house())):
        put(platform.home, name, 1, package)
    server = serve().start()
    assert server.http.post("/predict", json={"features": ROW}).status_code == 404
    server.route("churn", ("champion", 1, 100)).raise_for_status()
    assert server.http.post("/predict", json={"features": ROW}).json()["model"] == "churn"
    server.route("house", ("champion", 1, 100)).raise_for_status()
    refused = server.http.post("/predict", json={"features": ROW})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_default_model")
    assert "churn, house" in refused.json()["error"]["message"]
    server.stop()
    server.start(FACTORY_SERVING__DEFAULT_MODEL="house")
    rows = {"instances": [{"features": {"rooms": 1, "area": 2, "year": 3}}] * 2}
    answers = server.http.post("/predict/batch", json=rows).json()["predictions"]
    assert [answer["model"] for answer in answers] == ["house", "house"]


def hits(server: Server) -> float:
    lines = server.http.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("factory_cache_hits_total"))


@pytest.mark.parametrize("runtime", ["onnx", "sklearn"], ids=["the short way", "the long way"])
def test_cached_answers_are_recorded_and_counted_under_their_own_ids(
    serve: Callable[..., Server], platform: Platform, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    monkeypatch.setenv("FACTORY_SERVING__CACHE", "memory")
    for number in (1, 2):
        put(platform.home, "churn", number, churn(number), runtime)
    server = serve().start()
    server.route("churn", ("champion", 1, 100)).raise_for_status()
    answers = [server.predict("churn", ROW, id=f"r{i}").json() for i in range(5)]
    assert [answer.pop("id") for answer in answers] == [f"r{i}" for i in range(5)]
    assert answers == [answers[0]] * 5
    server.http.post("/v1/models/churn/predict/batch", json={"instances": [{"features": ROW, "id": "r5"}]})
    assert hits(server) == 5
    assert server.statistics("churn")["variants"]["champion"]["requests"] == 6
    assert recorded(platform, "churn", {f"r{i}" for i in range(6)}) == {f"r{i}" for i in range(6)}
    server.route("churn", ("champion", 2, 100)).raise_for_status()
    assert server.predict("churn", ROW).json()["probabilities"] != answers[0]["probabilities"]


def test_redis_may_go_and_come_back(serve: Callable[..., Server], platform: Platform, tmp_path: Path) -> None:
    put(platform.home, "churn", 1, churn(1), "onnx")
    with redis_running(tmp_path) as redis:
        server = serve().start(FACTORY_SERVING__CACHE=redis.uri)
        server.route("churn", ("champion", 1, 100)).raise_for_status()
        first = server.predict("churn", ROW).json()["probabilities"]
        deadline = time.monotonic() + 30
        while not hits(server) and time.monotonic() < deadline:  # the first questions may find a cold connection
            assert server.predict("churn", ROW).json()["probabilities"] == first
            time.sleep(0.2)
        assert hits(server) > 0
        redis.kill()
        assert {server.predict("churn", ROW).status_code for _ in range(20)} == {200}
        redis.start()
        known, deadline = hits(server), time.monotonic() + 30
        while hits(server) == known and time.monotonic() < deadline:
            assert server.predict("churn", ROW).json()["probabilities"] == first
            time.sleep(0.2)
        assert hits(server) > known
