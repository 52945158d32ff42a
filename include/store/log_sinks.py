"""Where the prediction log goes: the choice of a sink by URI."""

from __future__ import annotations

import sqlalchemy as sa

from include.specs.errors import FactoryError
from include.specs.platform import Platform
from include.store.log_sink import Sink

KAFKA = "kafka://"


def log_uri(platform: Platform) -> str:
    """Return where the prediction log goes: the setting ``serving.log_uri``, or the factory's database."""
    return platform.serving.log_uri.get_secret_value() or platform.database_uri.get_secret_value()


def log_database(platform: Platform) -> str:
    """Return the URI of the database that holds the log in the end: what is sent to Kafka arrives in the factory's."""
    uri = log_uri(platform)
    return platform.database_uri.get_secret_value() if uri.startswith(KAFKA) else uri


def open_sink(platform: Platform) -> Sink:
    """Return the sink that the settings name; it connects when it is first used.

    Raises:
        FactoryError: the URI cannot be read, or names something that is not supported.
    """
    uri = log_uri(platform)
    if uri.startswith(KAFKA):
        from include.store.log_kafka import KafkaSink

        return KafkaSink(uri, platform.serving.kafka_options.get_secret_value())
    from include.store.log_sql import SqlSink

    try:
        backend = sa.make_url(uri).get_backend_name()
    except sa.exc.ArgumentError:
        backend = "something that is no URI"
    if backend not in ("sqlite", "postgresql"):
        raise FactoryError(
            f"serving.log_uri: '{backend}' is not supported; use sqlite:///…, postgresql://… or kafka://host:9092/topic"
        )
    return SqlSink(uri)
