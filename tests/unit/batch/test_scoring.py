"""Batch predictions: the server's own reading and scoring, over tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from include.batch.chunks import chunks
from include.batch.engines import score_here
from include.batch.scoring import score_rows
from include.data.frames import normalise
from include.data.sources import open_source
from include.serving.models.loaded import LoadedModel, load_model
from include.specs import Platform
from include.store.packages import save_package
from tests.model_packages import churn, house
from tests.unit.data.source_contract import spec_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    package, folder = churn(), tmp_path_factory.mktemp("package")
    save_package(folder, package)
    return load_model(package.manifest.model, "7", folder)


def table(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(rows)
    age = rng.normal(40, 10, rows)
    age[::7] = np.nan
    return pd.DataFrame(
        {
            "key": [f"k{number}" for number in range(rows)],
            "age": age,
            "vip": rng.random(rows) < 0.5,
            "plan": rng.choice(["basic", "pro", None], rows),
            "seen": pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"),
            "note": "not a feature",
        }
    )


def asked(model: LoadedModel, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what the model server answers to the same rows in JSON."""
    plain = frame.astype(object).where(frame.notna(), None)
    rows = [
        {
            name: one[name].isoformat() if name == "seen" and one[name] is not None else one[name]
            for name in model.reader.names
        }
        for one in plain.to_dict("records")
    ]
    return model.predict([model.reader.read(row, model.reader.known) for row in rows])


def test_the_answers_are_the_servers(model: LoadedModel) -> None:
    frame = normalise(table())
    found = score_rows(model, frame, "key").answers.to_pylist()
    assert [one["id"] for one in found] == table()["key"].tolist()
    assert {one["model"] for one in found} == {model.model} and {one["version"] for one in found} == {"7"}
    for one, answer in zip(found, asked(model, frame), strict=True):
        assert one["label"] == answer["label"]
        assert {name: one[f"probability_{name}"] for name in answer["probabilities"]} == answer["probabilities"]


def test_rows_that_cannot_be_read_are_set_aside_with_their_reason(model: LoadedModel) -> None:
    frame = table(20).astype({"age": object})
    frame.loc[3, "age"] = "old"
    frame.loc[5, "age"] = 1e39
    found = score_rows(model, frame, None, first=100)
    assert found.rejected.to_pylist() == [
        {"id": "103", "reason": "age must be a number or null, not a string"},
        {"id": "105", "reason": "age is too large for a number"},
    ]
    assert found.answers.num_rows == 18 and found.answers["id"][0].as_py() == "100"


def test_a_table_without_a_feature_rejects_every_row(model: LoadedModel) -> None:
    found = score_rows(model, table(5).drop(columns="plan"), "key")
    assert found.answers.num_rows == 0
    assert {row["reason"] for row in found.rejected.to_pylist()} == {
        "plan is missing; send null when its value is not known"
    }


def test_a_regression_answers_values(tmp_path: Path) -> None:
    package = house()
    save_package(tmp_path, package)
    model = load_model(package.manifest.model, "1", tmp_path)
    row = {field.name: [field.example] for field in package.manifest.features}
    (found,) = score_rows(model, normalise(pd.DataFrame(row)), None).answers.to_pylist()
    assert isinstance(found["label"], float) and not [name for name in found if name.startswith("probability")]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_source_is_scored_in_parts(model: LoadedModel, platform: Platform, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    frame = table(230)
    frame.to_parquet(path, row_group_size=100, index=False) if kind == "parquet" else frame.to_csv(path, index=False)
    if kind == "parquet":
        assert pq.ParquetFile(path).num_row_groups == 3
    source = open_source(spec_of({"type": kind, "path": str(path)}, time=None), platform)
    parts = list(score_here(model, chunks(source, 60), None))
    assert [part.answers.num_rows for part in parts] == (
        [60, 40, 60, 40, 30] if kind == "parquet" else [60, 60, 60, 50]
    )
    ids = [one for part in parts for one in part.answers["id"].to_pylist()]
    assert ids == [str(number) for number in range(230)]
    whole = asked(model, normalise(frame))
    assert [one for part in parts for one in part.answers["label"].to_pylist()] == [one["label"] for one in whole]
