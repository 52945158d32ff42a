"""A Kafka cluster for tests: the one that librdkafka brings with it, which speaks the protocol on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def kafka_running() -> Iterator[str]:
    """Run a broker with automatic topics until the block ends; give its address."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    owner = confluent_kafka.Producer({"bootstrap.servers": "ignored:1", "test.mock.num.brokers": 1, "log_level": 2})
    [broker] = owner.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    owner.flush(0)
