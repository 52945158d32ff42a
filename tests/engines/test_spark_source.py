"""Sources that Spark reads: the contract of every source, and an aggregation as a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.data.sources import open_source
from include.data.spark_source import SparkSource
from include.specs import Platform, SpecError, load_platform
from include.specs.params import TrainingParams
from include.steps.context import StepContext
from include.steps.snapshot import run as snapshot
from tests.unit.data.source_contract import SourceContract, frame, spec_of

pytest.importorskip("pyspark", reason="Spark is in requirements-engines.txt")
LOGINS = """
SELECT customer AS key, max(happened) AS happened, count(*) AS logins, avg(minutes) AS minutes,
       CAST(max(minutes) > 55 AS INT) AS target
FROM rows GROUP BY customer
"""


@pytest.fixture(autouse=True)
def master(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> Iterator[None]:
    monkeypatch.setenv("FACTORY_SPARK_MASTER", "local[1]")
    load_platform.cache_clear()
    yield
    load_platform.cache_clear()


class TestSparkSource(SourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def store(self, rows: pd.DataFrame) -> dict[str, Any]:
        folder = self.folder / "subscribers"
        folder.mkdir(exist_ok=True)
        for part, place in enumerate(np.array_split(np.arange(len(rows)), 3)):
            rows.iloc[place].to_parquet(folder / f"{part}.parquet", coerce_timestamps="us", index=False)
        return {"type": "spark", "path": str(folder)}

    def missing(self) -> tuple[dict[str, Any], str]:
        return {"type": "spark", "path": str(self.folder / "subscriber")}, "subscribers"


@pytest.fixture
def events(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "customer": [f"c{number}" for number in rng.integers(0, 400, 20_000)],
            "happened": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9999, 20_000), "m"),
            "minutes": rng.exponential(10, 20_000).round(2),
        }
    )
    (tmp_path / "events").mkdir()
    for part, place in enumerate(np.array_split(np.arange(len(rows)), 4)):
        rows.iloc[place].to_parquet(tmp_path / "events" / f"{part}.parquet", coerce_timestamps="us", index=False)
    return tmp_path / "events", rows


def test_an_aggregation_by_two_executors_becomes_the_same_snapshot_every_time(
    events: tuple[Path, pd.DataFrame],
    context: Callable[..., StepContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, rows = events
    spec = spec_of({"type": "spark", "path": str(folder), "query": LOGINS})
    digests = set()
    for master in ("local-cluster[2,1,1024]", "local[1]"):
        monkeypatch.setenv("FACTORY_SPARK_MASTER", master)
        load_platform.cache_clear()
        read = open_source(spec, load_platform()).read()
        grouped = rows.groupby("customer").agg(logins=("minutes", "size"), minutes=("minutes", "mean"))
        found = read.set_index("key")
        assert read["happened"].is_monotonic_increasing
        assert (found["logins"] == grouped["logins"].reindex(found.index)).all()
        np.testing.assert_allclose(found["minutes"], grouped["minutes"].reindex(found.index), rtol=1e-12)
        digests.add(tuple(read["key"]))
    assert len(digests) == 1, "the order of rows does not depend on who computed them"
    made = context(spec, "snapshot")
    outcome = snapshot(StepContext(**{**vars(made), "params": TrainingParams(force=True).model_dump()}))
    assert outcome.values["rows"] == 400 and outcome.values["ordered"]


def test_a_wrong_query_is_told_with_its_field(events: tuple[Path, pd.DataFrame]) -> None:
    spec = spec_of({"type": "spark", "path": str(events[0]), "query": "SELECT custmer FROM rows"})
    with pytest.raises(SpecError, match=r"data\.source\.query.*custmer"):
        open_source(spec, load_platform()).read()


def test_files_that_are_no_parquet_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("a,b\n1,2\n")
    source = open_source(spec_of({"type": "spark", "path": str(tmp_path / "x.parquet")}), load_platform())
    assert isinstance(source, SparkSource)
    with pytest.raises(SpecError, match=r"data\.source\.path.*error while reading file .*x\.parquet"):
        source.read()


def test_csv_is_read_with_its_header(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "rows.csv", index=False)
    source = open_source(
        spec_of({"type": "spark", "format": "csv", "path": str(tmp_path / "rows.csv")}), load_platform()
    )
    assert source.columns()["Amount"] == "number" and len(source.read()) == 60
