"""Batch predictions by Ray and Spark: the answers of one process, in its order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.batch.chunks import chunks
from include.batch.engines import score_here, score_on_ray, score_on_spark
from include.batch.scoring import Scored
from include.data.source import Source
from include.data.sources import open_source
from include.engines.errors import EngineError
from include.engines.ray_cluster import connect
from include.serving.models.loaded import LoadedModel, load_model
from include.specs import Platform, load_platform
from include.store.packages import save_package
from tests.model_packages import churn
from tests.unit.batch.test_scoring import table
from tests.unit.data.source_contract import spec_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    package, folder = churn(), tmp_path_factory.mktemp("package")
    save_package(folder, package)
    return load_model(package.manifest.model, "7", folder)


@pytest.fixture
def source(platform: Platform, tmp_path: Path) -> Source:
    frame = table(2500).astype({"age": object})
    frame.loc[1234, "age"] = 1e39
    frame.astype({"age": float}).to_parquet(tmp_path / "rows.parquet", row_group_size=700, index=False)
    return open_source(spec_of({"type": "parquet", "path": str(tmp_path / "rows.parquet")}, time=None), platform)


def together(parts: Iterator[Scored]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    kept = list(parts)
    answers = pd.concat([part.answers.to_pandas() for part in kept], ignore_index=True)
    return answers, [row for part in kept for row in part.rejected.to_pylist()]


def same_as_here(model: LoadedModel, source: Source, parts: Iterator[Scored]) -> None:
    answers, rejected = together(parts)
    expected, expected_rejected = together(score_here(model, chunks(source), None))
    pd.testing.assert_frame_equal(answers, expected, check_exact=True)
    assert rejected == expected_rejected == [{"id": "1234", "reason": "age is too large for a number"}]


def test_ray_answers_as_one_process_does(ray_cluster: Any, model: LoadedModel, source: Source) -> None:
    same_as_here(model, source, score_on_ray(model, chunks(source, 300), None, ray_cluster.address))


def test_a_part_of_a_lost_worker_is_scored_again(ray_cluster: Any, model: LoadedModel, source: Source) -> None:
    import psutil

    connect(ray_cluster.address)
    parts = score_on_ray(model, chunks(source, 100), None, ray_cluster.address)
    first = next(parts)
    lost = 0
    for process in psutil.process_iter(["name", "cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith("ray::_score_there") and process.pid != os.getpid():
            process.kill()
            lost += 1
    rest = list(parts)
    assert lost >= 1
    same_as_here(model, source, iter([first, *rest]))


def test_spark_answers_as_one_process_does(model: LoadedModel, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="Spark is in requirements-engines.txt")
    monkeypatch.setenv("FACTORY_SPARK_MASTER", "local-cluster[2,1,1024]")
    load_platform.cache_clear()
    same_as_here(model, source, score_on_spark(model, source, None, load_platform()))
    load_platform.cache_clear()


def test_spark_says_which_sources_it_can_divide(model: LoadedModel, platform: Platform, tmp_path: Path) -> None:
    table(5).to_csv(tmp_path / "rows.csv", index=False)
    csv = open_source(spec_of({"type": "csv", "path": str(tmp_path / "rows.csv")}, time=None), platform)
    with pytest.raises(EngineError, match="give Parquet, or another engine"):
        next(score_on_spark(model, csv, None, platform))
