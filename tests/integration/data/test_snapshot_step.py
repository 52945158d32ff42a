from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.registry.lineage import code_version, spec_digest
from include.specs import ModelSpec, Platform, TemporarilyUnavailableError
from include.steps import snapshot
from include.steps.context import Outcome
from tests.unit.data.source_contract import frame, spec_of


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    """Return a model that no other test has registered."""
    frame().to_parquet(tmp_path / "x.parquet")
    return spec_of({"path": str(tmp_path / "x.parquet")}).model_copy(update={"name": f"m{uuid.uuid4().hex[:12]}"})


def register(platform: Platform, model: str, tags: dict[str, str]) -> None:
    """Register a version with these lineage tags, as the last step of training does."""
    from mlflow import MlflowClient

    client = MlflowClient(platform.mlflow_uri, platform.mlflow_uri)
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    named = {f"factory.{name}": value for name, value in tags.items()}
    run = {"factory.run": f"automl_pipeline.{uuid.uuid4().hex[:6]}", "semantic_version": "1.0.0", "stage": "None"}
    info = client.create_run("0").info
    client.create_model_version(model, f"{info.artifact_uri}/model", info.run_id, tags={**run, **named})


def test_a_run_that_would_repeat_the_newest_version_is_rejected(
    context: Any, mlflow_platform: Platform, spec: ModelSpec, tmp_path: Path
) -> None:
    def taken(spec: ModelSpec, **params: Any) -> Outcome:
        return snapshot.run(replace(context(spec, "snapshot", **params), platform=mlflow_platform))

    first = taken(spec)
    assert not first.rejected  # there is no version yet
    made_of = {"snapshot": first.values["digest"], "spec": spec_digest(spec), "code": code_version()}
    register(mlflow_platform, spec.name, made_of)
    again = taken(spec)
    assert again.rejected
    assert "nothing changed since version 1" in again.message
    assert "force" in again.message
    assert again.values["digest"] == first.values["digest"]
    # each of these is a reason to train
    assert not taken(spec, force=True).rejected
    assert not taken(spec.model_copy(update={"search": spec.search.model_copy(update={"folds": 7})})).rejected
    frame(61).to_parquet(tmp_path / "x.parquet")
    assert not taken(spec).rejected
    frame().to_parquet(tmp_path / "x.parquet")
    assert taken(spec).rejected
    register(mlflow_platform, spec.name, {**made_of, "code": "another"})
    assert not taken(spec).rejected  # only the newest version counts


def test_retraining_and_force_ask_no_registry(context: Any, platform: Platform, spec: ModelSpec) -> None:
    assert snapshot.run(context(spec, "snapshot", force=True)).values["rows"] == 60
    spec = spec.model_copy(update={"retraining": spec.retraining.model_copy(update={"data": "source"})})
    assert snapshot.run(context(spec, "snapshot", pipeline="model_retraining")).values["rows"] == 60


def test_a_registry_that_is_away_is_said(context: Any, platform: Platform, spec: ModelSpec) -> None:
    away = platform.model_copy(update={"mlflow_uri": "http://127.0.0.1:9"})
    given = replace(context(spec, "snapshot"), platform=away)
    with pytest.raises(TemporarilyUnavailableError, match=r"127\.0\.0\.1:9"):
        snapshot.run(given)


def test_the_values_are_those_that_later_steps_read(context: Any, platform: Platform, spec: ModelSpec) -> None:
    given = context(spec, "snapshot", force=True)
    values = snapshot.run(given).values
    digest = values["digest"]
    assert values == {
        "digest": digest,
        "rows": 60,
        "columns": 7,
        "path": f"snapshots/{spec.name}/{digest}/data.parquet",
        "first_event": "2025-03-30T00:00:00+00:00",
        "last_event": "2025-04-01T11:00:00+00:00",
        "origin": "source",
        "ordered": True,
    }
    with given.store.local(values["path"]) as path:
        pd.testing.assert_frame_equal(pd.read_parquet(path), frame())
    assert (given.work / "snapshot.json").is_file()
