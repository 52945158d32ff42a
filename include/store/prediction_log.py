"""The prediction log: the durable record of what was served, joined later with ground truth and rewards by id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from include.specs.platform import Platform
from include.store.database import UtcDateTime, engine_at
from include.store.log_records import (
    LABELS,
    PREDICTIONS,
    REWARDS,
    LabelRecord,
    PredictionRecord,
    Record,
    RewardRecord,
    as_json,
)
from include.store.log_sinks import log_database
from include.store.log_sql import SqlSink

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Prediction:
    """One answered prediction.

    Attributes:
        id: id of the prediction, unique within its model; the label names it later.
        variant: role under which the version answered (``champion``, ``challenger``).
        event_time: when the predicted event took place, in the caller's time; monitoring windows are cut by it.
        served_at: when the server answered.
        features: the row as the caller sent it.
        output: ``{"label": …}`` and, for classifiers, ``{"probabilities": {class: p}}``.
    """

    id: str
    model: str
    version: str
    variant: str
    event_time: datetime
    served_at: datetime
    features: dict[str, Any]
    output: dict[str, Any]
    latency_ms: float


@dataclass(frozen=True)
class Label:
    """The ground truth of one prediction."""

    id: str
    model: str
    label: Any
    observed_at: datetime = field(compare=False)


class PredictionLog:
    """Append and read predictions, labels and rewards; writing a model's id twice keeps the first.

    It lies in the database that ``serving.log_uri`` names; in the factory's when that names a Kafka topic, or nothing.
    """

    def __init__(self, platform: Platform) -> None:
        self._uri = log_database(platform)

    @property
    def _engine(self) -> sa.Engine:
        return engine_at(self._uri)

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Write ``predictions`` in one transaction; when it returns they are durable."""
        self._commit([_record(prediction) for prediction in predictions])

    def append_labels(self, labels: Iterable[Label]) -> None:
        """Write ``labels`` in one transaction; late, repeated and out of order is welcome."""
        self._commit([LabelRecord(**vars(label)) for label in labels])

    def append_rewards(self, rewards: Iterable[RewardRecord]) -> None:
        """Write ``rewards`` in one transaction; late, repeated and out of order is welcome."""
        self._commit(list(rewards))

    def _commit(self, records: Sequence[Record]) -> None:
        if records:
            SqlSink(self._uri).commit(records)

    def latest_event(self, model: str) -> datetime | None:
        """Return the event time of the model's latest prediction, or None when there is none."""
        query = sa.select(sa.func.max(PREDICTIONS.c.event_time, type_=UtcDateTime)).where(PREDICTIONS.c.model == model)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def earliest_event(self, model: str, since: datetime | None = None) -> datetime | None:
        """Return the event time of the model's first prediction (at or after ``since``), or None when there is none."""
        query = sa.select(sa.func.min(PREDICTIONS.c.event_time, type_=UtcDateTime)).where(PREDICTIONS.c.model == model)
        if since is not None:
            query = query.where(PREDICTIONS.c.event_time >= since)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def counts(self, model: str, start: datetime, end: datetime) -> dict[str, tuple[int, int]]:
        """Return version → (predictions, those with a known label) with ``start <= event_time < end``."""
        same = (LABELS.c.model == PREDICTIONS.c.model) & (LABELS.c.id == PREDICTIONS.c.id)
        query = (
            sa.select(PREDICTIONS.c.version, sa.func.count(), sa.func.count(LABELS.c.id))
            .select_from(PREDICTIONS.join(LABELS, same, isouter=True))
            .where(PREDICTIONS.c.model == model, PREDICTIONS.c.event_time >= start, PREDICTIONS.c.event_time < end)
            .group_by(PREDICTIONS.c.version)
        )
        with self._engine.connect() as connection:
            return {version: (rows, labelled) for version, rows, labelled in connection.execute(query)}

    def frame(
        self, model: str, start: datetime | None = None, end: datetime | None = None, labelled_only: bool = False
    ) -> pd.DataFrame:
        """Return predictions with ``start <= event_time < end``, oldest first, labels joined where they are known.

        Columns: ``id, version, variant, event_time, served_at, features (dict), output (dict), latency_ms, label``
        (None where unknown).
        """
        import pandas as pd

        same = (LABELS.c.model == PREDICTIONS.c.model) & (LABELS.c.id == PREDICTIONS.c.id)
        joined = PREDICTIONS.join(LABELS, same, isouter=not labelled_only)
        query = (
            sa.select(*[c for c in PREDICTIONS.c if c.name != "model"], LABELS.c.label)
            .select_from(joined)
            .where(PREDICTIONS.c.model == model, *_between(start, end))
            .order_by(PREDICTIONS.c.event_time, PREDICTIONS.c.id)
        )
        with self._engine.connect() as connection:
            result = connection.execute(query)
            rows = result.fetchall()
        frame = pd.DataFrame(rows, columns=list(result.keys()))
        labels = pd.Series([row.label for row in rows], dtype=object)  # beside an unknown label, 1 must not become 1.0
        frame["label"] = labels if labels.isna().any() else labels.infer_objects()
        return frame

    def rewards(
        self, model: str, start: datetime | None = None, end: datetime | None = None, name: str | None = None
    ) -> pd.DataFrame:
        """Return the rewards of predictions with ``start <= event_time < end``, oldest prediction first.

        Columns: ``id, version, variant, event_time, name, reward, observed_at``, one row an id and name.

        Args:
            model: the model's name.
            start: earliest event time of a prediction.
            end: behind the latest one.
            name: rewards of this name alone.
        """
        import pandas as pd

        told, brought = PREDICTIONS.c, REWARDS.c
        columns = (
            told.id,
            told.version,
            told.variant,
            told.event_time,
            brought.name,
            brought.reward,
            brought.observed_at,
        )
        query = (
            sa.select(*columns)
            .join_from(PREDICTIONS, REWARDS, (brought.model == told.model) & (brought.id == told.id))
            .where(PREDICTIONS.c.model == model, *_between(start, end))
            .order_by(PREDICTIONS.c.event_time, PREDICTIONS.c.id, REWARDS.c.name)
        )
        if name is not None:
            query = query.where(REWARDS.c.name == name)
        with self._engine.connect() as connection:
            return pd.DataFrame(connection.execute(query).fetchall(), columns=[c.name for c in columns])


def _between(start: datetime | None, end: datetime | None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of ``start <= event_time < end``."""
    since = [] if start is None else [PREDICTIONS.c.event_time >= start]
    return since if end is None else [*since, PREDICTIONS.c.event_time < end]


def _record(prediction: Prediction) -> PredictionRecord:
    values = vars(prediction) | {"features": as_json(prediction.features), "output": as_json(prediction.output)}
    return PredictionRecord(**values)
