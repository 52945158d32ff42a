"""What the prediction log keeps: its records on their way, and its tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from include.store.database import METADATA, UtcDateTime


class PredictionRecord(msgspec.Struct, tag="prediction", array_like=True, gc=False):
    """One answered prediction; `include.store.prediction_log.Prediction` says what its fields mean.

    Features and output are JSON text: nobody between the request and the database needs to look into them.
    """

    id: str
    model: str
    version: str
    variant: str
    event_time: datetime
    served_at: datetime
    features: msgspec.Raw
    output: msgspec.Raw
    latency_ms: float


class LabelRecord(msgspec.Struct, tag="label", array_like=True, gc=False):
    """The ground truth of one prediction; the first of an id stands."""

    id: str
    model: str
    label: str | int | float | bool
    observed_at: datetime


class RewardRecord(msgspec.Struct, tag="reward", array_like=True, gc=False):
    """What one prediction brought, under a name; the first of an id and name stands."""

    id: str
    model: str
    name: str
    reward: float
    observed_at: datetime


Record = PredictionRecord | LabelRecord | RewardRecord
_ENCODER = msgspec.json.Encoder()


def as_json(value: Any) -> msgspec.Raw:
    """Return ``value`` as the JSON text that a `PredictionRecord` holds."""
    return msgspec.Raw(_ENCODER.encode(value))


PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("variant", sa.String(32), nullable=False),
    sa.Column("event_time", UtcDateTime, nullable=False),
    sa.Column("served_at", UtcDateTime, nullable=False),
    sa.Column("features", sa.JSON, nullable=False),
    sa.Column("output", sa.JSON, nullable=False),
    sa.Column("latency_ms", sa.Float, nullable=False),
    sa.Index("predictions_by_model_and_time", "model", "event_time"),
)
LABELS = sa.Table(
    "labels",
    METADATA,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("observed_at", UtcDateTime, nullable=False),
)
REWARDS = sa.Table(
    "rewards",
    METADATA,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("reward", sa.Float, nullable=False),
    sa.Column("observed_at", UtcDateTime, nullable=False),
)
