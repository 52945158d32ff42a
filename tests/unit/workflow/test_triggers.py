"""The signal trigger under Airflow's own stream manager, against a real database."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from airflow.triggers.base import TriggerEvent
from airflow.triggers.shared_stream import SharedStreamManager

from include.store.database import engine_of
from include.store.signals import SignalStore
from include.workflow import triggers
from include.workflow.triggers import SignalTrigger

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
POLL = 0.02


@pytest.fixture(autouse=True)
def board(monkeypatch):
    monkeypatch.setattr(triggers, "_BOARD", triggers._Board())


@pytest.fixture
def signals(platform):
    return SignalStore(platform)


class Triggerer:
    """What Airflow's triggerer does with triggers that share streams; dropping it is a kill -9."""

    def __init__(self, *models: str) -> None:
        self.manager = SharedStreamManager(log=structlog.get_logger())
        self.events: list[TriggerEvent] = []
        self._seqs: list[int] = []
        self._tasks = [
            asyncio.create_task(self._watch(number, SignalTrigger(model, poll_seconds=POLL)))
            for number, model in enumerate(models, start=1)
        ]

    async def _watch(self, number: int, trigger: SignalTrigger) -> None:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        async for event in trigger.filter_shared_stream(stream):
            self._seqs.append(self.manager.bind_pending_event(trigger_id=number, key=key))
            self.events.append(event)

    async def until_events(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.events) < count:  # noqa: ASYNC110 - what is waited for is elsewhere
                await asyncio.sleep(POLL)

    def store_events(self) -> None:
        """Confirm every event so far as written to Airflow's database."""
        self.manager.confirm_persisted(self._seqs)
        self._seqs = []

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.manager.stop_all()


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(POLL)


def test_a_request_fires_once_and_is_marked_when_airflow_has_stored_the_event(signals):
    signals.request_retraining("churn", MONDAY, "2 of the last 3 windows drifted", {})

    async def life() -> list[TriggerEvent]:
        triggerer = Triggerer("churn")
        await triggerer.until_events(1)
        await asyncio.sleep(10 * POLL)
        assert signals.unannounced("churn"), "marked before Airflow had the event"
        triggerer.store_events()
        await until(lambda: not signals.unannounced("churn"))
        await asyncio.sleep(10 * POLL)
        signals.request_retraining("churn", MONDAY + timedelta(weeks=1), "again", {})
        await triggerer.until_events(2)
        await triggerer.stop()
        return triggerer.events

    first, second = asyncio.run(life())
    assert first.payload == {
        "model": "churn",
        "request": 1,
        "window_start": "2026-11-16T00:00:00+00:00",
        "reason": "2 of the last 3 windows drifted",
    }
    json.dumps(first.payload)
    assert second.payload["request"] == 2


def test_a_triggerer_that_dies_before_the_event_is_stored_loses_nothing(signals):
    signals.request_retraining("churn", MONDAY, "drift", {})

    async def life() -> list[int]:
        told = []
        for stored in (False, True, True):
            triggerer = Triggerer("churn")
            if len(told) < 2:
                await triggerer.until_events(1)
            if stored:
                triggerer.store_events()
                await until(lambda: not signals.unannounced("churn"))
            await asyncio.sleep(10 * POLL)
            told += [event.payload["request"] for event in triggerer.events]
            await triggerer.stop()
        return told

    assert asyncio.run(life()) == [1, 1]


def test_each_model_hears_of_its_own_requests_only_and_all_share_one_query(signals, platform):
    queries: list[str] = []
    sa.event.listen(engine_of(platform), "before_cursor_execute", lambda *call: queries.append(call[2]))
    models = [f"model_{number}" for number in range(40)]

    async def life() -> Triggerer:
        triggerer = Triggerer(*models)
        await asyncio.sleep(POLL)
        signals.request_retraining("model_7", MONDAY, "drift", {})
        await triggerer.until_events(1)
        await asyncio.sleep(20 * POLL)
        await triggerer.stop()
        return triggerer

    events = asyncio.run(life()).events
    assert [event.payload["model"] for event in events] == ["model_7"]
    reads = [query for query in queries if query.startswith("SELECT")]
    assert 0 < len(reads) < len(models)


def test_a_closed_request_is_not_announced(signals):
    signals.request_retraining("churn", MONDAY, "drift", {})
    signals.close_request(1, "failed")

    async def life() -> list[TriggerEvent]:
        triggerer = Triggerer("churn")
        await asyncio.sleep(20 * POLL)
        await triggerer.stop()
        return triggerer.events

    assert asyncio.run(life()) == []


def test_a_database_that_is_away_for_a_while_is_asked_again(signals, platform, caplog):
    signals.request_retraining("churn", MONDAY, "drift", {})
    engine = engine_of(platform)

    async def life() -> list[TriggerEvent]:
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE retraining_requests RENAME TO away"))
        triggerer = Triggerer("churn")
        await until(lambda: "cannot be read now" in caplog.text)
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO retraining_requests"))
        await triggerer.until_events(1)
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE retraining_requests RENAME TO away"))
        triggerer.store_events()
        await until(lambda: "marked later" in caplog.text)
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO retraining_requests"))
        await until(lambda: not signals.unannounced("churn"))
        await triggerer.stop()
        return triggerer.events

    assert len(asyncio.run(life())) == 1


def test_the_trigger_is_made_again_from_what_it_serializes():
    path, kwargs = SignalTrigger("churn", poll_seconds=2.5).serialize()
    module, _, name = path.rpartition(".")
    again = getattr(__import__(module, fromlist=[name]), name)(**kwargs)
    assert (again.model, again.poll_seconds, again.shared_stream_key()) == ("churn", 2.5, ("factory-signals", "churn"))
