"""Drift counted by a real Spark (two executors on this machine) over a prediction log in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.engines.errors import EngineError
from include.engines.spark_session import spark_session
from include.monitoring import spark_counts
from include.monitoring.drift import PREDICTION, DriftMonitor, column_drifts, compared, reckoner, with_answers
from include.monitoring.sample import Sample
from include.monitoring.spark_counts import SparkCounts, slices_of
from include.monitoring.windows import Due
from include.specs import Platform, load_platform
from include.specs.operation import Monitoring
from include.store.prediction_log import Prediction, PredictionLog
from tests.unit.monitoring.conftest import World, draw

START = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def on_spark(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    pytest.importorskip("pyspark", reason="Spark is in requirements-engines.txt")
    monkeypatch.setenv("FACTORY_SPARK_MASTER", "local-cluster[2,1,1024]")
    monkeypatch.setenv("FACTORY_ENGINES__DRIFT", "spark")
    # Java, and with it what executors inherit, may be older than this test
    monkeypatch.setenv("FACTORY_ENGINES__SPARK_OPTIONS", f"{{spark.executorEnv.FACTORY_HOME: '{platform.home}'}}")
    load_platform.cache_clear()
    yield load_platform()
    load_platform.cache_clear()


def logged(platform: Platform, world: World, rows: int, start: datetime, **moved: float) -> Sample:
    """Log a week of answers of version 3, and a few of another one; return the week as the monitors take it."""
    sample = world.answered(draw(np.random.default_rng(rows), rows, **moved))
    plain = sample.features.astype(object).where(sample.features.notna(), None)
    records = plain.assign(joined=sample.features["joined"].map(lambda time: time.isoformat())).to_dict("records")
    log = PredictionLog(platform)
    for first in range(0, rows, 5000):
        log.append(
            [
                Prediction(
                    f"{start:%d}.{place}", "shop", "3" if place % 50 else "2", "champion", start + WEEK * place / rows, start,
                    {**one, "member": None if one["member"] is None else bool(one["member"])},
                    {"label": 1, "probabilities": {"0": 1 - float(p), "1": float(p)}}, 1.0,
                )
                for place, (one, p) in enumerate(
                    zip(records[first : first + 5000], sample.outputs[first : first + 5000], strict=True), first
                )
            ]
        )  # fmt: skip
    mine = np.arange(rows) % 50 != 0
    return Sample(sample.features[mine], sample.outputs[mine], sample.target[mine])


def due(rows: int, start: datetime = START) -> Due:
    return Due(start, start + WEEK, "3", rows, 0, {"3": rows, "2": 10})


def test_spark_finds_what_one_process_finds(on_spark: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_counts, "ROWS_A_SLICE", 1000)
    world, next_week = World(), START + WEEK
    quiet, moved = logged(on_spark, world, 4000, START), logged(on_spark, world, 1500, next_week, income=2.0)
    assert len(slices_of(due(len(quiet)))) == 4
    with SparkCounts(on_spark, "shop") as count:
        weeks = [
            (sample, count(world.reference, due(len(sample), start)))
            for sample, start in ((quiet, START), (moved, next_week))
        ]
    monitor = DriftMonitor(world.reference, Monitoring())
    for (sample, counts), drifted in zip(weeks, ([], ["income", PREDICTION]), strict=True):
        here = reckoner(world.reference).count(with_answers(world.reference, sample))
        assert counts.numbers[PREDICTION].sum() == len(sample)
        assert counts.numbers["age"].sum() == sample.features["age"].notna().sum()
        assert all((counts.numbers[name] == here.numbers[name]).all() for name in here.numbers)
        assert counts.categories == here.categories
        found = monitor.judge(counts)
        assert set(found.evidence["drifted"]) == set(drifted)
        expected = column_drifts(compared(world.reference, sample), 0.01, 0.1)
        for one, other in zip(found.evidence["columns"], expected, strict=True):
            assert one["column"] == other.column
            assert one["p_value"] == pytest.approx(other.p_value, rel=1e-9)
            assert one["psi"] == pytest.approx(other.psi, rel=1e-9)


def test_workers_that_read_another_log_are_told(
    on_spark: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World()
    logged(on_spark, world, 100, START)
    monkeypatch.setenv("FACTORY_ENGINES__SPARK_OPTIONS", f"{{spark.executorEnv.FACTORY_HOME: '{tmp_path}/other'}}")
    load_platform.cache_clear()
    with (
        SparkCounts(load_platform(), "shop") as count,
        pytest.raises(EngineError, match=r"read 0 of the 98 rows of shop.*FACTORY_\* environment"),
    ):
        count(world.reference, due(98))


def test_a_master_that_is_away_is_named(on_spark: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORY_SPARK_MASTER", "nonsense://127.0.0.1")
    load_platform.cache_clear()
    with (
        pytest.raises(EngineError, match=r"Spark at 'nonsense://127\.0\.0\.1' does not start"),
        spark_session(load_platform(), "test"),
    ):
        pass


def test_a_worker_without_a_package_is_told(on_spark: Platform) -> None:
    def work(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import a_package_that_nobody_has  # noqa: F401

        yield from parts

    with (
        pytest.raises(EngineError, match="workers lack the package 'a_package_that_nobody_has'"),
        spark_session(on_spark, "test") as spark,
    ):
        spark.range(3).mapInPandas(work, "id long").collect()


def test_options_that_are_no_mapping_are_refused(on_spark: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.specs import SpecError

    monkeypatch.setenv("FACTORY_ENGINES__SPARK_OPTIONS", "just text")
    load_platform.cache_clear()
    with pytest.raises(SpecError, match="FACTORY_ENGINES__SPARK_OPTIONS"), spark_session(load_platform(), "test"):
        pass


def test_a_missing_java_is_told(on_spark: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(EngineError, match="Java 17"), spark_session(on_spark, "test"):
        pass
