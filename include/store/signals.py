"""Signals: what monitoring concluded about each window, and the retrainings that it asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from include.specs.platform import Platform
from include.store.database import METADATA, UtcDateTime, engine_of, insert_ignore

WINDOWS = sa.Table(
    "monitoring_windows",
    METADATA,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("start", UtcDateTime, primary_key=True),
    sa.Column("end", UtcDateTime, nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("signals", sa.JSON, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("run", sa.String(250), nullable=False),
    sa.Column("analysed_at", UtcDateTime, nullable=False),
)
RETRAININGS = sa.Table(
    "retraining_requests",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("window_start", UtcDateTime, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("announced_at", UtcDateTime),
    sa.Column("outcome", sa.String(16)),
    sa.UniqueConstraint("model", "window_start"),
)


@dataclass(frozen=True)
class Window:
    """One monitored window; ``signals`` holds what it raised (drift, degradation, quality), nothing when quiet."""

    model: str
    start: datetime
    end: datetime
    version: str
    rows: int
    signals: list[str]
    evidence: dict[str, Any]
    run: str
    analysed_at: datetime


@dataclass(frozen=True)
class RetrainingRequest:
    """Monitoring's wish to train again; ``outcome`` is None while it is open, then registered, rejected or failed."""

    id: int
    model: str
    window_start: datetime
    reason: str
    evidence: dict[str, Any]
    requested_at: datetime
    announced_at: datetime | None
    outcome: str | None


class SignalStore:
    """The signals of every model."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def _engine(self) -> sa.Engine:
        return engine_of(self._platform)

    def record(self, window: Window) -> None:
        """Keep ``window``; one that was analysed before is replaced, so that a retried step ends the same."""
        with self._engine.begin() as connection:
            same = (WINDOWS.c.model == window.model) & (WINDOWS.c.start == window.start)
            connection.execute(sa.delete(WINDOWS).where(same))
            connection.execute(sa.insert(WINDOWS), [vars(window)])

    def windows(self, model: str, last: int | None = None) -> list[Window]:
        """Return the model's windows, oldest first; only the ``last`` ones when a number is given."""
        query = sa.select(WINDOWS).where(WINDOWS.c.model == model).order_by(WINDOWS.c.start.desc())
        if last is not None:
            query = query.limit(last)
        with self._engine.connect() as connection:
            return [Window(**row._mapping) for row in connection.execute(query)][::-1]

    def request_retraining(self, model: str, window_start: datetime, reason: str, evidence: dict[str, Any]) -> bool:
        """Ask for a retraining because of the window that begins at ``window_start``; asking again changes nothing.

        Returns:
            Whether the request is new.
        """
        row = {
            "model": model,
            "window_start": window_start,
            "reason": reason,
            "evidence": evidence,
            "requested_at": datetime.now(UTC),
        }
        engine = self._engine
        statement = insert_ignore(engine, RETRAININGS).values(row).returning(RETRAININGS.c.id)
        with engine.begin() as connection:
            return connection.execute(statement).first() is not None

    def requests(self, model: str) -> list[RetrainingRequest]:
        """Return the model's retraining requests, oldest first."""
        query = sa.select(RETRAININGS).where(RETRAININGS.c.model == model).order_by(RETRAININGS.c.id)
        with self._engine.connect() as connection:
            return [RetrainingRequest(**row._mapping) for row in connection.execute(query)]

    def unannounced(self, model: str | None = None) -> list[RetrainingRequest]:
        """Return the open requests of which Airflow has not been told yet, of every model when none is named.

        This is what the signal trigger watches.
        """
        query = sa.select(RETRAININGS).where(RETRAININGS.c.announced_at.is_(None), RETRAININGS.c.outcome.is_(None))
        if model is not None:
            query = query.where(RETRAININGS.c.model == model)
        with self._engine.connect() as connection:
            return [RetrainingRequest(**row._mapping) for row in connection.execute(query.order_by(RETRAININGS.c.id))]

    def mark_announced(self, request_id: int) -> None:
        """Write down that Airflow was told of the request."""
        with self._engine.begin() as connection:
            query = sa.update(RETRAININGS).where(RETRAININGS.c.id == request_id)
            connection.execute(query.values(announced_at=datetime.now(UTC)))

    def close_request(self, request_id: int, outcome: str) -> None:
        """Write down how a retraining ended: registered, rejected or failed."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(RETRAININGS).where(RETRAININGS.c.id == request_id).values(outcome=outcome))
