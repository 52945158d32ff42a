"""What the factory's tables promise, whatever database keeps them: run over SQLite and over PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy as sa

from include.specs import FactoryError, Platform
from include.store.database import engine_at, engine_of
from include.store.log_records import RewardRecord
from include.store.prediction_log import Label, Prediction, PredictionLog
from include.store.routes import Route, RouteStore, Variant
from include.store.signals import SignalStore, Window

START = datetime(2026, 3, 2, tzinfo=UTC)
PROCESSES = 4
FEATURES = {"age": 33.5, "vip": True, "plan": "größer\n", "seen": None, "big": 2**70}


def made_at_once(uris: Sequence[str]) -> set[int | None]:
    """Return the exit codes of processes that make the tables of each database at the same moments."""
    spawn = get_context("spawn")
    barrier = spawn.Barrier(PROCESSES)
    started = [spawn.Process(target=_make_each, args=(uris, barrier)) for _ in range(PROCESSES)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return {process.exitcode for process in started}


def _make_each(uris: Sequence[str], barrier: Barrier) -> None:
    for uri in uris:
        barrier.wait(60)
        engine_at(uri)


class TablesContract:
    """Inherit it, and give the fixture ``database``: a platform whose tables lie in the database under test."""

    @pytest.fixture
    def model(self) -> str:
        return f"m{uuid.uuid4().hex[:12]}"

    # The prediction log

    def predictions(self, model: str, count: int = 5) -> list[Prediction]:
        return [
            Prediction(
                id=f"p{i}",
                model=model,
                version=str(1 + i % 2),
                variant="champion",
                event_time=START + timedelta(hours=i),
                served_at=START,
                features=FEATURES,
                output={"label": "stays", "probabilities": {"stays": 0.75}},
                latency_ms=1.25,
            )
            for i in range(count)
        ]

    def test_a_prediction_comes_back_as_it_was(self, database: Platform, model: str) -> None:
        log = PredictionLog(database)
        log.append(self.predictions(model, 1))
        row = log.frame(model).iloc[0]
        assert row["features"] == FEATURES
        assert row["output"] == {"label": "stays", "probabilities": {"stays": 0.75}}
        assert (row["id"], row["version"], row["variant"], row["latency_ms"]) == ("p0", "1", "champion", 1.25)
        assert row["event_time"] == START
        assert row["event_time"].tzinfo is not None
        assert row["label"] is None

    def test_windows_are_half_open_and_oldest_first(self, database: Platform, model: str) -> None:
        log = PredictionLog(database)
        log.append(self.predictions(model)[::-1])
        frame = log.frame(model, START + timedelta(hours=1), START + timedelta(hours=3))
        assert list(frame["id"]) == ["p1", "p2"]
        assert list(log.frame(model)["id"]) == ["p0", "p1", "p2", "p3", "p4"]
        assert log.earliest_event(model) == START
        assert log.earliest_event(model, since=START + timedelta(minutes=1)) == START + timedelta(hours=1)
        assert log.latest_event(model) == START + timedelta(hours=4)

    def test_times_of_other_zones_are_the_same_instants(self, database: Platform, model: str) -> None:
        local = START.astimezone(timezone(timedelta(hours=13)))
        log = PredictionLog(database)
        log.append([replace(self.predictions(model, 1)[0], event_time=local)])
        assert list(log.frame(model, START, START + timedelta(seconds=1))["id"]) == ["p0"]
        assert log.latest_event(model) == START

    def test_a_time_without_a_zone_is_refused(self, database: Platform, model: str) -> None:
        naive = replace(self.predictions(model, 1)[0], event_time=datetime(2026, 3, 2))
        with pytest.raises((FactoryError, sa.exc.StatementError), match="zone"):
            PredictionLog(database).append([naive])

    def test_an_id_is_written_once_a_model(self, database: Platform, model: str) -> None:
        log = PredictionLog(database)
        first = self.predictions(model, 1)
        log.append([*first, replace(first[0], version="7")])
        log.append([replace(first[0], version="8")])
        log.append([replace(first[0], model=model + "x", version="9")])
        assert list(log.frame(model)["version"]) == ["1"]
        assert list(log.frame(model + "x")["version"]) == ["9"]

    @pytest.mark.parametrize("label", ["leaves", 1, 0.5, True])
    def test_labels_join_by_model_and_id_early_late_and_twice(
        self, database: Platform, model: str, label: object
    ) -> None:
        log = PredictionLog(database)
        log.append_labels([Label("p1", model, label, START)])
        log.append(self.predictions(model, 3))
        log.append_labels([Label("p1", model, "second thought", START), Label("p2", model + "x", "other", START)])
        frame = log.frame(model).set_index("id")
        found = frame.loc["p1", "label"]
        assert (found, type(found)) == (label, type(label))
        assert frame.loc["p2", "label"] is None
        assert list(log.frame(model, labelled_only=True)["id"]) == ["p1"]
        assert log.counts(model, START, START + timedelta(days=1)) == {"1": (2, 0), "2": (1, 1)}

    def test_rewards_join_early_late_and_twice_and_the_first_of_a_name_stands(
        self, database: Platform, model: str
    ) -> None:
        log = PredictionLog(database)
        log.append_rewards([RewardRecord("p1", model, "reward", 1.5, START)])
        log.append(self.predictions(model, 3))
        later = START + timedelta(days=9)
        log.append_rewards(
            [
                RewardRecord("p1", model, "reward", 7.0, later),
                RewardRecord("p1", model, "margin", -0.25, later),
                RewardRecord("p2", model + "x", "reward", 3.0, START),
                RewardRecord("unknown", model, "reward", 3.0, START),
            ]
        )
        rows = [tuple(row) for row in log.rewards(model)[["id", "variant", "name", "reward", "observed_at"]].values]
        assert rows == [("p1", "champion", "margin", -0.25, later), ("p1", "champion", "reward", 1.5, START)]
        assert list(log.rewards(model, name="margin")["reward"]) == [-0.25]
        assert log.rewards(model, start=START + timedelta(hours=2)).empty

    def test_an_id_with_control_characters_moves_no_column(self, database: Platform, model: str) -> None:
        log = PredictionLog(database)
        names = ["tab\tand\\N", "line\nend\r", "\\N", "größer"]
        log.append([replace(self.predictions(model, 1)[0], id=name) for name in names])
        assert sorted(log.frame(model)["id"]) == sorted(names)
        try:
            log.append([replace(self.predictions(model, 1)[0], id="x\x1fy\x1ez")])
        except FactoryError:
            assert len(log.frame(model)) == len(names)
        else:
            assert "x\x1fy\x1ez" in set(log.frame(model)["id"])

    def test_nothing_is_a_valid_answer(self, database: Platform, model: str) -> None:
        log = PredictionLog(database)
        log.append([])
        log.append_labels([])
        log.append_rewards([])
        assert log.rewards(model).empty
        assert log.frame(model).empty
        assert "label" in log.frame(model).columns
        assert log.latest_event(model) is None
        assert log.earliest_event(model) is None
        assert log.counts(model, START, START + timedelta(days=1)) == {}

    # Routes

    def test_routes_count_their_revisions(self, database: Platform, model: str) -> None:
        store = RouteStore(database)
        assert store.get(model) is None
        first = store.put(Route(model, (Variant("champion", "1", 100),)))
        second = store.put(
            Route(
                model,
                (Variant("champion", "1", 90), Variant("challenger", "2", 10), Variant("spy", "3", 0, shadow=True)),
            )
        )
        assert (first.revision, second.revision) == (1, 2)
        assert store.get(model) == second
        assert store.all()[model] == second

    def test_no_revision_is_given_twice(self, database: Platform, model: str) -> None:
        store = RouteStore(database)
        store.all()
        with ThreadPoolExecutor(8) as pool:
            routes = list(
                pool.map(lambda i: store.put(Route(model, (Variant("champion", str(i), 100),))), range(1, 25))
            )
        assert sorted(route.revision for route in routes) == list(range(1, 25))
        assert store.get(model) == max(routes, key=lambda route: route.revision)

    # Signals

    def window(self, model: str, week: int, **changes: object) -> Window:
        start = START + timedelta(weeks=week)
        values = {
            "end": start + timedelta(weeks=1),
            "version": "1",
            "rows": 10,
            "signals": [],
            "evidence": {"psi": 0.1},
        }
        return Window(**({"model": model, "start": start, "run": "r", "analysed_at": START} | values | changes))

    def test_a_window_that_is_analysed_again_is_replaced(self, database: Platform, model: str) -> None:
        store = SignalStore(database)
        for week in (2, 0, 1):
            store.record(self.window(model, week))
        store.record(self.window(model, 1, signals=["drift"]))
        assert store.windows(model) == [
            self.window(model, 0), self.window(model, 1, signals=["drift"]), self.window(model, 2)
        ]  # fmt: skip
        assert [window.start for window in store.windows(model, last=2)] == [START + timedelta(weeks=w) for w in (1, 2)]

    def test_a_retraining_is_asked_for_once_and_announced_once(self, database: Platform, model: str) -> None:
        store = SignalStore(database)
        assert store.request_retraining(model, START, "drift", {"k": 2})
        assert not store.request_retraining(model, START, "drift again", {})
        assert store.request_retraining(model, START + timedelta(weeks=1), "drift", {})
        first, second = store.requests(model)
        assert (first.reason, first.evidence, first.outcome) == ("drift", {"k": 2}, None)
        store.mark_announced(first.id)
        assert [request.id for request in store.unannounced(model)] == [second.id]
        store.close_request(second.id, "registered")
        assert store.unannounced(model) == []
        assert [request.outcome for request in store.requests(model)] == [None, "registered"]

    def test_the_engine_is_shared(self, database: Platform) -> None:
        assert engine_of(database) is engine_of(database)
