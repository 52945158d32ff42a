"""Read the prediction log's Kafka topic into the factory's database: ``python -m include.serving.log.consumer``.

Offsets are committed after the database has the records, so each arrives at least once; the database keeps the first of
an id. Several consumers share the topic's partitions.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from include.serving.observability import logs
from include.specs import FactoryError, Platform, load_platform
from include.store.database import UNAVAILABLE
from include.store.log_kafka import decode, parse_uri, properties
from include.store.log_records import Record
from include.store.log_sinks import KAFKA, log_database, log_uri
from include.store.log_sql import SqlSink

if TYPE_CHECKING:
    from confluent_kafka import Consumer

log = logging.getLogger(__name__)
GROUP = "model-factory-log"
BATCH, WAIT_SECONDS, PAUSE_SECONDS = 2000, 0.2, 1.0


class LogConsumer:
    """Moves messages of the topic into the database.

    Raises:
        FactoryError: the settings name no topic.
    """

    def __init__(self, platform: Platform) -> None:
        uri = log_uri(platform)
        if not uri.startswith(KAFKA):
            raise FactoryError("serving.log_uri names no Kafka topic, so there is nothing to read into the database")
        brokers, self._topic = parse_uri(uri)
        self._properties = properties(
            brokers, platform.serving.kafka_options.get_secret_value(),
            **{"group.id": GROUP, "enable.auto.commit": False, "auto.offset.reset": "earliest"},
        )  # fmt: skip
        self._sink = SqlSink(log_database(platform))

    def run(self, stopped: threading.Event) -> None:
        """Consume until ``stopped`` is set; what was read then is committed first."""
        from confluent_kafka import Consumer

        consumer = Consumer(self._properties)
        consumer.subscribe([self._topic])
        try:
            while not stopped.is_set():
                messages = consumer.consume(BATCH, WAIT_SECONDS)
                if messages and self._keep([r for m in messages if (r := _read(m)) is not None], stopped):
                    _commit(consumer)
        finally:
            consumer.close()
            self._sink.close()

    def _keep(self, records: list[Record], stopped: threading.Event) -> bool:
        """Write ``records``, waiting for a database that is away; tell whether it has them."""
        while True:
            try:
                refused = self._sink.write(records)
            except UNAVAILABLE as error:
                log.warning("the database does not answer; the topic waits (%s)", type(error).__name__)
                if stopped.wait(PAUSE_SECONDS):
                    return False
            else:
                for record, reason in refused:
                    log.error("%s %s: %s", record.model, record.id, reason)
                return True


def _read(message: Any) -> Record | None:
    """Return a message's record; None, and a line in the log, for an error or something else."""
    if error := message.error():
        log.warning("Kafka: %s", error)
        return None
    try:
        return decode(message.value() or b"")
    except ValueError as error:
        log.error("offset %s of partition %s holds no record (%s)", message.offset(), message.partition(), error)  # noqa: TRY400
        return None


def _commit(consumer: Consumer) -> None:
    """Note how far the topic was read; when that fails it is read again, which changes nothing."""
    from confluent_kafka import KafkaException

    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        log.warning("the offsets could not be committed (%s)", error)


def main() -> int:
    """Consume until SIGTERM or SIGINT."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        platform = load_platform()
        logs.configure(platform.serving.log_format)
        LogConsumer(platform).run(stopped)
    except FactoryError as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
