"""A run folder in which the rows are prepared, and a way to run the steps that follow."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from include.features.preparation import prepare_rows
from include.specs import ModelSpec, Platform, load_spec
from include.steps.kernel import Call, execute
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder

RUN = "automl_pipeline.test"


class Training:
    """One training run of a model of its own."""

    def __init__(self, platform: Platform, spec: ModelSpec, run: str, pipeline: str) -> None:
        self.platform, self.spec, self.run, self.pipeline = platform, spec, run, pipeline
        self.folder = RunFolder(ArtifactStore.of(platform), spec.name, run)

    def prepare(self, frame: pd.DataFrame, ordered: bool = False) -> None:
        """Leave what `snapshot` and `prepare` would leave."""
        prepared = prepare_rows(frame, self.spec, ordered).prepared
        work = Path(tempfile.mkdtemp())
        prepared.save(work / "prepared")
        rows = {"train_rows": len(prepared.train), "test_rows": len(prepared.test), "dropped": {"row": "an id"}}
        snapshot = {"digest": f"sha256:{len(frame):064x}", "rows": len(frame), "path": "snapshots/x/data.parquet"}
        for step, values, source in (("snapshot", snapshot, None), ("prepare", rows, work)):
            now = datetime.now(UTC)
            result = Result(
                model=self.spec.name,
                pipeline=self.pipeline,
                run=self.run,
                step=step,
                status="done",
                started=now,
                ended=now,
                values=values,
            )
            self.folder.finish(result, source or Path(tempfile.mkdtemp()))
        shutil.rmtree(work)

    def step(self, name: str, **params: object) -> Result:
        """Run a step as a worker would."""
        call = Call(name, name, self.spec.name, self.pipeline, self.run, params)
        return execute(call, self.platform)


@pytest.fixture
def train(mlflow_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Training]:
    """Return a maker of training runs: ``train({"problem": {...}, ...})``; the name is made up, and kept in ``name``."""
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(models))

    def make(
        document: dict[str, object], name: str | None = None, run: str = RUN, pipeline: str = "automl_pipeline"
    ) -> Training:
        name = name or f"m{uuid.uuid4().hex[:10]}"
        base = {"name": name, "owner": "tests", "data": {"source": {"path": "x.csv"}}}
        (models / f"{name}.yaml").write_text(yaml.safe_dump({**base, **document}))
        return Training(mlflow_platform, load_spec(name), run, pipeline)

    return make
