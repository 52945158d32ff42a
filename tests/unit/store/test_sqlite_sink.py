"""The prediction log into SQLite, by the settings that choose it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from include.specs import FactoryError, Platform
from include.store.log_records import Record, RewardRecord
from include.store.log_sink import Sink
from include.store.log_sinks import open_sink
from include.store.prediction_log import PredictionLog
from tests.unit.store.sink_contract import START, SinkContract, prediction


def with_log(platform: Platform, uri: str, options: str = "") -> Platform:
    serving = platform.serving.model_copy(update={"log_uri": SecretStr(uri), "kafka_options": SecretStr(options)})
    return platform.model_copy(update={"serving": serving})


class TestSqliteSink(SinkContract):
    @pytest.fixture
    def sink(self, platform: Platform) -> Sink:
        return open_sink(platform)

    @pytest.fixture
    def read(self, platform: Platform) -> Callable[[], PredictionLog]:
        return lambda: PredictionLog(platform)

    @pytest.fixture
    def refused(self, model: str) -> Record:
        return RewardRecord("secret", model, "reward", 1.0, datetime(2026, 3, 1))

    @pytest.fixture
    def away(self, platform: Platform, tmp_path: Path) -> Sink:
        return open_sink(with_log(platform, f"sqlite:///{tmp_path}"))


def test_the_log_may_lie_in_a_database_of_its_own(platform: Platform, tmp_path: Path) -> None:
    elsewhere = with_log(platform, f"sqlite:///{tmp_path / 'log.db'}")
    open_sink(elsewhere).commit([prediction("churn", "p1")])
    assert list(PredictionLog(elsewhere).frame("churn")["id"]) == ["p1"]
    assert PredictionLog(platform).frame("churn").empty


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mysql://root@localhost/log", "'mysql' is not supported"),
        ("nonsense", "no URI"),
        ("kafka://localhost:9092", "kafka://host:9092"),
        ("kafka://me:swordfish@localhost:9092/topic", "credentials belong into"),
        ("kafka://localhost:9092/a/b", "kafka://host:9092"),
    ],
)
def test_a_uri_that_names_no_sink_is_refused(platform: Platform, uri: str, told: str) -> None:
    with pytest.raises(FactoryError, match=told) as raised:
        open_sink(with_log(platform, uri))
    assert "swordfish" not in str(raised.value)


def test_options_that_are_no_mapping_are_refused(platform: Platform) -> None:
    with pytest.raises(FactoryError, match="kafka_options"):
        open_sink(with_log(platform, "kafka://localhost:9092/topic", "[a"))


def test_a_database_from_before_goes_on(platform: Platform) -> None:
    platform.home.mkdir(parents=True)
    with sqlite3.connect(platform.home / "factory.db") as old:
        old.executescript(
            """
            CREATE TABLE predictions (model VARCHAR(63) NOT NULL, id VARCHAR(64) NOT NULL, version VARCHAR(32) NOT NULL,
              variant VARCHAR(32) NOT NULL, event_time DATETIME NOT NULL, served_at DATETIME NOT NULL,
              features JSON NOT NULL, output JSON NOT NULL, latency_ms FLOAT NOT NULL, PRIMARY KEY (model, id));
            CREATE INDEX predictions_by_model_and_time ON predictions (model, event_time);
            CREATE TABLE labels (model VARCHAR(63) NOT NULL, id VARCHAR(64) NOT NULL, label JSON NOT NULL,
              observed_at DATETIME NOT NULL, PRIMARY KEY (model, id));
            INSERT INTO predictions VALUES ('churn', 'old', '1', 'champion', '2026-03-02 01:02:03.456789',
              '2026-03-02 01:02:03.456789', '{"plan": "gr\\u00f6\\u00dfer"}', '{"label": "stays"}', 1.5);
            """
        )
    open_sink(platform).commit(
        [prediction("churn", "old"), prediction("churn", "new"), RewardRecord("old", "churn", "reward", 2.0, START)]
    )
    frame = PredictionLog(platform).frame("churn").set_index("id")
    assert frame.loc["old", "features"] == {"plan": "größer"}
    assert set(frame["event_time"]) == {START}
    assert list(PredictionLog(platform).rewards("churn")["reward"]) == [2.0]
