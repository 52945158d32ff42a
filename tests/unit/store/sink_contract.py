"""What every sink of the prediction log promises."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from include.store.database import UNAVAILABLE
from include.store.log_records import LabelRecord, PredictionRecord, Record, RewardRecord, as_json
from include.store.log_sink import RefusedError, Sink
from include.store.prediction_log import PredictionLog

START = datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=UTC)
FEATURES = {"age": 33.5, "vip": True, "plan": "größer\n\t\\", "seen": None, "big": 2**70}


def prediction(model: str, name: str, **changes: object) -> PredictionRecord:
    values = {
        "version": "1", "variant": "champion", "event_time": START, "served_at": START + timedelta(seconds=1),
        "features": as_json(FEATURES), "output": as_json({"label": "stays", "probabilities": {"stays": 0.75}}),
        "latency_ms": 1.25,
    }  # fmt: skip
    return PredictionRecord(id=name, model=model, **(values | changes))


class SinkContract:
    """Inherit it, and give the fixtures.

    ``sink``; ``read``: a function that returns the log when what was committed has arrived there; ``refused``: a record
    that this sink cannot keep; ``away``: a sink of the kind whose server does not answer.
    """

    @pytest.fixture
    def model(self) -> str:
        return f"m{uuid.uuid4().hex[:12]}"

    def test_records_arrive_as_they_were(self, sink: Sink, read: Callable[[], PredictionLog], model: str) -> None:
        sink.commit(
            [
                RewardRecord("p1", model, "margin", -0.25, START),
                prediction(model, "p1"),
                LabelRecord("p1", model, "leaves", START),
                prediction(model, "größer\\N\t"),
            ]
        )
        log = read()
        frame = log.frame(model).set_index("id")
        row = frame.loc["p1"]
        assert row["features"] == FEATURES
        assert row["output"] == {"label": "stays", "probabilities": {"stays": 0.75}}
        assert (row["version"], row["variant"], row["latency_ms"], row["label"]) == ("1", "champion", 1.25, "leaves")
        assert (row["event_time"], row["served_at"]) == (START, START + timedelta(seconds=1))
        assert set(frame.index) == {"p1", "größer\\N\t"}
        assert log.rewards(model)[["id", "name", "reward"]].values.tolist() == [["p1", "margin", -0.25]]

    def test_the_first_of_an_id_stands(self, sink: Sink, read: Callable[[], PredictionLog], model: str) -> None:
        for number in (1, 2):
            sink.commit(
                [
                    *(prediction(model, "p1", version=str(number * 10 + i)) for i in range(3)),
                    *(LabelRecord("p1", model, number * 10 + i, START) for i in range(3)),
                    *(RewardRecord("p1", model, "reward", number * 10 + i, START) for i in range(3)),
                ]
            )
        log = read()
        assert [tuple(row) for row in log.frame(model)[["version", "label"]].values] == [("10", 10)]
        assert list(log.rewards(model)["reward"]) == [10.0]

    def test_many_at_once(self, sink: Sink, read: Callable[[], PredictionLog], model: str) -> None:
        sink.commit([prediction(model, f"p{i}") for i in range(3000)])
        assert len(read().frame(model)) == 3000

    def test_what_is_refused_holds_back_nothing(
        self, sink: Sink, read: Callable[[], PredictionLog], model: str, refused: Record
    ) -> None:
        good = [prediction(model, f"p{i}") for i in range(5)]
        with pytest.raises(RefusedError):
            sink.commit([refused])
        [(record, reason)] = sink.write([*good[:2], refused, *good[2:]])
        assert record is refused
        assert reason
        assert not any(value in reason for value in ("secret", "xxxx"))
        assert len(read().frame(model)) == 5

    def test_nothing_is_a_valid_batch(self, sink: Sink) -> None:
        assert sink.write([]) == []

    def test_one_that_is_away_says_so(self, away: Sink, model: str) -> None:
        with pytest.raises(UNAVAILABLE) as raised:
            away.commit([prediction(model, "p1")])
        assert "swordfish" not in str(raised.value)

    @staticmethod
    def large(model: str, size: int) -> PredictionRecord:
        return prediction(model, "large", features=msgspec.Raw(b'{"a": "' + b"x" * size + b'"}'))
