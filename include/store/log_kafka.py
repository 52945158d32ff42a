"""The prediction log into a Kafka topic, and out of it again: what a producer sends, and what a consumer reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from include.specs.errors import FactoryError, TemporarilyUnavailableError
from include.store.log_records import LabelRecord, PredictionRecord, Record, RewardRecord
from include.store.log_sink import RefusedError, Sink

if TYPE_CHECKING:
    from confluent_kafka import Producer

SCHEMA = 1
"""Version of the messages; it changes when a consumer of the former one could no longer read them."""
DELIVERY_SECONDS = 10.0
"""How long a message may take to be acknowledged by every replica in sync before it is sent again later."""
_URI = re.compile(r"kafka://([^/@?\s]+)/([A-Za-z0-9._-]{1,249})")


class PredictionMessage(PredictionRecord, tag_field="type", tag="prediction", array_like=False):
    """A prediction as a JSON object."""

    schema: int = SCHEMA


class LabelMessage(LabelRecord, tag_field="type", tag="label", array_like=False):
    """A label as a JSON object."""

    schema: int = SCHEMA


class RewardMessage(RewardRecord, tag_field="type", tag="reward", array_like=False):
    """A reward as a JSON object."""

    schema: int = SCHEMA


Message = PredictionMessage | LabelMessage | RewardMessage
_MESSAGES: dict[type[Any], type[Any]] = {
    PredictionRecord: PredictionMessage, LabelRecord: LabelMessage, RewardRecord: RewardMessage
}  # fmt: skip
_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Message)


def encode(record: Record) -> bytes:
    """Return ``record`` as the JSON object that is the value of a message."""
    if kind := _MESSAGES.get(type(record)):
        record = kind(*(getattr(record, name) for name in record.__struct_fields__))
    return _ENCODER.encode(record)


def decode(value: bytes) -> Record:
    """Return the record that a message holds.

    Raises:
        ValueError: it holds none, or one that only a newer factory can read.
    """
    message: Message = _DECODER.decode(value)
    if message.schema > SCHEMA:
        raise ValueError(f"schema {message.schema} is newer than {SCHEMA}; upgrade this consumer")
    return message


def parse_uri(uri: str) -> tuple[str, str]:
    """Return brokers and topic of ``kafka://host:9092[,host:9092]/topic``.

    Raises:
        FactoryError: it has another form, or holds credentials.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise FactoryError(
            "serving.log_uri: a Kafka topic is written kafka://host:9092[,host:9092]/topic; "
            "credentials belong into serving.kafka_options"
        )
    return match[1], match[2]


def properties(brokers: str, options: str, **own: Any) -> dict[str, Any]:
    """Return the properties of a client: ``own``, and what the setting ``serving.kafka_options`` says over it.

    Raises:
        FactoryError: the setting is no mapping in YAML.
    """
    import yaml

    try:
        given = yaml.safe_load(options) if options else {}
    except yaml.YAMLError:
        given = None
    if not isinstance(given, dict):
        raise FactoryError("serving.kafka_options: write a mapping such as {security.protocol: SSL}")
    return {"bootstrap.servers": brokers, "client.id": "model-factory", **own, **given}


class KafkaSink(Sink):
    """Produces a message a record, keyed by its id: what is said of one id stays in order.

    Raises:
        FactoryError: the URI or the options cannot be read.
    """

    def __init__(self, uri: str, options: str) -> None:
        self._brokers, self._topic = parse_uri(uri)
        self._properties = properties(
            self._brokers, options,
            **{"acks": "all", "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"},
            **{"message.timeout.ms": int(DELIVERY_SECONDS * 1000), "log_level": 2},
        )  # fmt: skip
        self._producer: Producer | None = None

    def commit(self, records: Sequence[Record]) -> None:
        """Send ``records``, and return when each is acknowledged."""
        from confluent_kafka import KafkaError, KafkaException

        messages = [(record.id.encode(), encode(record)) for record in records]
        failed: list[Any] = []
        try:
            self._send(messages, failed)
        except KafkaException as error:
            self.close()
            if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise RefusedError("the message is larger than message.max.bytes of serving.kafka_options") from error
            raise TemporarilyUnavailableError(self._away(error.args[0])) from error
        if failed:
            self.close()
            raise TemporarilyUnavailableError(self._away(failed[0]))

    def _send(self, messages: Iterable[tuple[bytes, bytes]], failed: list[Any]) -> None:
        if self._producer is None:
            from confluent_kafka import Producer

            self._producer = Producer(self._properties)
        producer = self._producer

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failed.append(error)

        for key, value in messages:
            while True:
                try:
                    producer.produce(self._topic, value, key, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(DELIVERY_SECONDS * 2):
            failed.append("no answer")

    def _away(self, reason: Any) -> str:
        return f"Kafka at {self._brokers} takes no message for '{self._topic}' ({reason}); start it, or correct the URI"

    def close(self) -> None:
        """Forget the producer, with what it still holds: a failed batch is sent again as a whole."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(0)
