"""The prediction log into PostgreSQL and into Kafka, and from Kafka into a database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.serving.log.consumer import LogConsumer
from include.specs import Platform
from include.store.log_kafka import encode, parse_uri
from include.store.log_records import LabelRecord, Record, RewardRecord
from include.store.log_sink import Sink
from include.store.log_sinks import open_sink
from include.store.prediction_log import PredictionLog
from tests.integration.kafka import kafka_running
from tests.unit.store.sink_contract import START, SinkContract, prediction
from tests.unit.store.test_sqlite_sink import with_log


class TestPostgresSink(SinkContract):
    @pytest.fixture(params=["postgresql", "postgresql+psycopg2"])
    def database(self, request: pytest.FixtureRequest, platform: Platform, postgres_uri: str) -> Platform:
        return with_log(platform, postgres_uri.replace("postgresql", request.param, 1))

    @pytest.fixture
    def sink(self, database: Platform) -> Iterator[Sink]:
        sink = open_sink(database)
        yield sink
        sink.close()

    @pytest.fixture
    def read(self, database: Platform) -> Callable[[], PredictionLog]:
        return lambda: PredictionLog(database)

    @pytest.fixture(params=["text", "value"])
    def refused(self, request: pytest.FixtureRequest, model: str) -> Record:
        if request.param == "text":
            return LabelRecord("secret\x00", model, "x", START)
        return RewardRecord("secret" * 20, model, "reward", 1.0, START)

    @pytest.fixture
    def away(self, platform: Platform) -> Sink:
        return open_sink(with_log(platform, "postgresql://factory:swordfish@127.0.0.1:9/factory"))


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with kafka_running() as address:
        yield address


@pytest.fixture
def topic(platform: Platform, broker: str, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Return a platform whose log goes to a topic of its own; processes that the test starts share it."""
    name = f"log-{time.time_ns()}"
    uri = f"kafka://{broker}/{name}"
    # a group of its own: this broker lets a group wait for a member that has left
    options = f"{{group.id: {name}, session.timeout.ms: 6000}}"
    monkeypatch.setenv("FACTORY_SERVING__LOG_URI", uri)
    monkeypatch.setenv("FACTORY_SERVING__KAFKA_OPTIONS", options)
    return with_log(platform, uri, options)


def consume(platform: Platform, seconds: float = 120) -> PredictionLog:
    """Read the topic into the database up to what it holds now: each partition is given a last message."""
    from confluent_kafka import Producer

    brokers, topic = parse_uri(platform.serving.log_uri.get_secret_value())
    producer, mark = Producer({"bootstrap.servers": brokers}), time.time_ns()
    ends = {number: f"end-{mark}-{number}" for number in producer.list_topics(topic, 10).topics[topic].partitions}
    for number, end in ends.items():
        producer.produce(topic, encode(prediction("end", end)), partition=number)
    assert ends
    assert not producer.flush(10)
    log, stopped = PredictionLog(platform), threading.Event()
    consumer = threading.Thread(target=LogConsumer(platform).run, args=(stopped,))
    consumer.start()
    deadline = time.monotonic() + seconds
    while not set(ends.values()) <= set(log.frame("end")["id"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    stopped.set()
    consumer.join()
    return log


class TestKafkaSink(SinkContract):
    @pytest.fixture
    def sink(self, topic: Platform) -> Iterator[Sink]:
        sink = open_sink(topic)
        yield sink
        sink.close()

    @pytest.fixture
    def read(self, topic: Platform) -> Callable[[], PredictionLog]:
        return lambda: consume(topic)

    @pytest.fixture
    def refused(self, model: str) -> Record:
        return self.large(model, 1 << 21)

    @pytest.fixture
    def away(self, platform: Platform) -> Sink:
        return open_sink(with_log(platform, "kafka://127.0.0.1:9/log", "{message.timeout.ms: 300}"))


def test_the_consumer_process_goes_on_where_it_was_and_skips_what_it_cannot_read(
    topic: Platform, broker: str, tmp_path: Path
) -> None:
    from confluent_kafka import Producer

    sink = open_sink(topic)
    producer = Producer({"bootstrap.servers": broker})
    name = topic.serving.log_uri.get_secret_value().rsplit("/", 1)[1]
    log = PredictionLog(topic)
    for round_ in range(2):
        for value in (
            b"nonsense",
            b'{"type": "label"}',
            encode(prediction("churn", "future")).replace(b'"schema":1', b'"schema":9'),
        ):
            producer.produce(name, value)
        producer.flush(10)
        sink.commit([prediction("churn", f"p{round_}", event_time=datetime(2026, 3, 1 + round_, tzinfo=UTC))])
        said = tmp_path / f"{round_}.log"
        with said.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "include.serving.log.consumer"], stderr=stderr, env=dict(os.environ)
            )
        try:
            deadline = time.monotonic() + 60
            while (
                len(log.frame("churn")) <= round_ or said.read_bytes().count(b"holds no record") < 3
            ) and time.monotonic() < deadline:  # the topic has partitions, which come in any order
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        finally:
            process.kill()
        told = said.read_bytes()
        assert process.returncode == 0, told
        assert told.count(b"holds no record") == 3, told
    assert list(log.frame("churn")["id"]) == ["p0", "p1"]


def test_a_consumer_without_a_topic_is_told(platform: Platform) -> None:
    done = subprocess.run([sys.executable, "-m", "include.serving.log.consumer"], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"names no Kafka topic" in done.stderr
