"""The log of a running server: rewards, samples, a Kafka topic, and what is killed while it works."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from include.serving.log.recorder import place
from include.specs import Platform, load_platform
from include.store.prediction_log import PredictionLog
from tests.integration.kafka import kafka_running
from tests.integration.serving.server import Server
from tests.integration.serving.test_durability import calling, recorded
from tests.model_packages import ROW, churn, put


@pytest.fixture
def started(serve: Callable[..., Server], platform: Platform) -> Callable[..., Server]:
    put(platform.home, "churn", 1, churn())

    def start(**settings: str) -> Server:
        server = serve().start(**{f"FACTORY_SERVING__{name.upper()}": value for name, value in settings.items()})
        server.route("churn", ("champion", 1, 100)).raise_for_status()
        return server

    return start


def writers(home: Path) -> list[psutil.Process]:
    """Return the log writers of a home."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "include.serving.log.writer" in command and str(home / "spool") in command:
            found.append(process)
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def test_two_servers_share_a_writer_that_is_replaced_when_killed_and_ends_with_the_last(
    started: Callable[..., Server], serve: Callable[..., Server], platform: Platform
) -> None:
    first = started()
    second = serve().start()
    with calling(first) as callers:
        assert until(lambda: writers(platform.home))
        [writer] = writers(platform.home)
        time.sleep(1)
        writer.kill()
        assert until(lambda: [one for one in writers(platform.home) if one.pid != writer.pid])
        time.sleep(0.5)
        assert len(writers(platform.home)) == 1
    assert callers.failed == []
    acknowledged = set(callers.acknowledged)
    assert acknowledged - recorded(platform, "churn", acknowledged) == set()
    os.kill(first.process.pid, signal.SIGKILL)  # the writer may be its child, and works on for the other
    second.predict("churn", ROW, id="by-the-second").raise_for_status()
    assert "by-the-second" in recorded(platform, "churn", {"by-the-second"})
    second.kill()
    assert until(lambda: not writers(platform.home))
    assert list((platform.home / "spool").glob("*.jsonl")) == []


def test_rewards_are_in_the_database_when_they_are_accepted_and_the_first_stands(
    shared: Server,
) -> None:
    later, sooner = {"observed_at": "2026-06-01"}, {"observed_at": "2026-05-01"}
    rewards = [
        {"id": "rewarded", "reward": 2, **later},
        {"id": "rewarded", "reward": 1, **sooner},
        {"id": "rewarded", "reward": -0.5, "name": "margin"},
    ]
    body = {"rewards": rewards, "labels": [{"id": "rewarded", "label": "stays"}]}
    for _ in range(2):
        response = shared.http.post("/v1/models/churn/feedback", json=body)
        assert (response.status_code, response.json()) == (200, {"accepted": 4})
    shared.predict("churn", ROW, id="rewarded").raise_for_status()
    assert "rewarded" in recorded(shared.platform, "churn", {"rewarded"})
    frame = PredictionLog(shared.platform).rewards("churn")
    assert frame[["id", "variant", "name", "reward"]].values.tolist() == [
        ["rewarded", "champion", "margin", -0.5],
        ["rewarded", "champion", "reward", 2.0],
    ]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"rewards": [{"id": "1", "reward": "2"}]}, "rewards[0].reward"),
        ({"rewards": [{"id": "1", "reward": True}]}, "rewards[0].reward"),
        ({"rewards": [{"id": "1"}]}, "rewards[0]"),
        ({"rewards": [{"id": "1", "reward": 1, "name": "A b"}]}, "rewards[0].name"),
        ({"rewards": [{"id": "1", "reward": 1}, {"id": "1", "reward": 1, "observed_at": "soon"}]}, "rewards[1].observed_at"),
        ({"rewards": [], "labels": []}, "labels and rewards"),
        ({}, "labels and rewards"),
    ],
)  # fmt: skip
def test_rewards_that_cannot_be_read(shared: Server, body: dict[str, object], where: str) -> None:
    response = shared.http.post("/v1/models/churn/feedback", json=body)
    assert response.status_code == 422
    assert [detail["where"] for detail in response.json()["error"]["details"]] == [where]


def test_a_sample_is_chosen_by_id_and_never_of_feedback(started: Callable[..., Server], platform: Platform) -> None:
    server = started(log_sample="0.25")
    names = [f"order-{number}" for number in range(200)]
    for name in names:
        server.predict("churn", ROW, id=name).raise_for_status()
    labels = [{"id": name, "label": "stays"} for name in names]
    assert server.http.post("/v1/models/churn/feedback", json={"labels": labels}).json() == {"accepted": 200}
    kept = {name for name in names if place(name) < 0.25}
    assert 25 < len(kept) < 75
    assert recorded(platform, "churn", kept) == kept
    assert f"factory_log_sampled_out_total {200 - len(kept)}.0" in server.http.get("/metrics").text
    assert set(PredictionLog(platform).frame("churn", labelled_only=True)["id"]) == kept


@pytest.fixture
def broker() -> Iterator[str]:
    with kafka_running() as address:
        yield address


def test_predictions_and_feedback_reach_a_topic(
    started: Callable[..., Server], platform: Platform, broker: str
) -> None:
    from confluent_kafka import Consumer

    server = started(log_uri=f"kafka://{broker}/predictions")
    answer = server.predict("churn", ROW, id="to-kafka").json()
    body = {"labels": [{"id": "to-kafka", "label": "stays"}], "rewards": [{"id": "to-kafka", "reward": 3}]}
    assert server.http.post("/v1/models/churn/feedback", json=body).json() == {"accepted": 2}
    assert until(lambda: server.http.get("/health").json()["log"]["backlog_bytes"] == 0)
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe(["predictions"])
    messages: list[bytes] = []
    assert until(lambda: messages.extend(m.value() for m in consumer.consume(10, 0.5)) or len(messages) >= 3)
    consumer.close()
    by_type = {message["type"]: message for message in map(json.loads, messages)}
    assert by_type["prediction"]["features"] == ROW
    assert by_type["prediction"]["output"] == {k: answer[k] for k in ("label", "probabilities")}
    assert (by_type["label"]["label"], by_type["reward"]["reward"], by_type["reward"]["schema"]) == ("stays", 3.0, 1)
    assert server.stop() == 0


def test_a_broker_that_comes_late_gets_everything(started: Callable[..., Server], platform: Platform) -> None:
    """The spool waits while nothing listens at the address of the log; it is delivered to what the next start names."""
    server = started(log_uri="kafka://127.0.0.1:9/predictions", kafka_options="{message.timeout.ms: 500}")
    for number in range(20):
        server.predict("churn", ROW, id=f"early-{number}").raise_for_status()
    assert server.http.get("/health").json()["log"]["backlog_bytes"] > 0
    server.kill()
    assert list((platform.home / "spool").glob("*.jsonl"))
    for writer in writers(platform.home):
        writer.kill()
    load_platform.cache_clear()
    server.start()  # into the database this time
    wanted = {f"early-{number}" for number in range(20)}
    assert wanted <= recorded(platform, "churn", wanted)
