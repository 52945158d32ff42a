"""A real MLflow server and a real model server, and training runs as the training pipelines leave them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from include.features.prepared import Prepared
from include.specs import Platform, load_platform
from include.steps.kernel import Call, execute
from include.store.artifacts import ArtifactStore
from include.store.packages import Field, Manifest, ModelPackage, save_package, typed
from include.store.runs import Result, RunFolder
from tests.integration.conftest import free_port, running

FIELDS = (
    Field(name="age", type="number", nullable=False, example=30),
    Field(name="plan", type="string", example="basic"),
)
RELEASE = {"policy": "canary", "steps": [10, 50, 100], "bake": "0.2s", "min_requests": 20, "max_latency_ms": 5000}


@dataclass
class Factory:
    """The platform of these tests, and the shortest way to trained versions on it."""

    platform: Platform
    models: Path

    def spec(self, name: str, **release: Any) -> str:
        """Write a model spec and return the model's name."""
        document = {
            "name": name,
            "owner": "tests",
            "data": {"source": {"path": "x.csv"}},
            "problem": {"type": "binary", "target": "leaves"},
            "release": RELEASE | release,
            "experiment": {"metric": "error_rate", "max_difference": 0.2},
        }
        (self.models / f"{name}.yaml").write_text(yaml.safe_dump(document))
        return name

    def run(self, step: str, model: str, run: str, task: str | None = None, **params: Any) -> Result:
        """Run a step as Airflow would, in this process."""
        pipeline = run.split(".")[0]
        return execute(Call(step, task or step, model, pipeline, run, params), self.platform)

    def train(self, model: str, number: int, broken: bool = False, verdict: str = "pass") -> Result:
        """Leave what a training run leaves, and register it; a broken version fails for one plan of three."""
        run = f"automl_pipeline.{number}"
        folder = RunFolder(ArtifactStore.of(self.platform), model, run)
        scratch = self.models.parent / "scratch" / model / run
        rows = prepared()
        rows.save(scratch / "prepare" / "prepared")
        package = ModelPackage(manifest(model, run), estimator(rows, broken, seed=number))
        save_package(scratch / "search" / "package", package)
        values: dict[str, dict[str, Any]] = {
            "snapshot": {"digest": f"digest-{number}", "rows": 300},
            "prepare": {"train_rows": 200, "test_rows": 100, "dropped": {}},
            "search": {"algorithm": "linear", "parameters": json.dumps({"C": number})},
            "evaluate": {"metrics": {"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}}},
            "gate": {"verdict": verdict, "gates": []},
        }
        for step, value in values.items():
            (scratch / step).mkdir(parents=True, exist_ok=True)
            now = datetime.now(UTC)
            folder.finish(
                Result(
                    model=model, pipeline="automl_pipeline", run=run, step=step, status="done",
                    started=now, ended=now, values=value,
                ),
                scratch / step,
            )  # fmt: skip
        return self.run("register", model, run)

    def release(self, model: str, number: int) -> list[Result]:
        """Run the deployment pipeline as far as it goes, and return the results of its steps."""
        run, results = f"model_deployment.{number}", []
        for step, task in (
            ("plan_release", "plan_release"), ("shift", "shift_10"), ("shift", "shift_50"), ("shift", "shift_100"),
            ("promote", "promote"),
        ):  # fmt: skip
            results.append(self.run(step, model, run, task))
            if results[-1].status != "done":
                break
        return results


@pytest.fixture(scope="module")
def factory(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """Return a factory with both servers running."""
    folder = tmp_path_factory.mktemp("factory")
    (folder / "models").mkdir()
    port = free_port()
    settings = {
        "FACTORY_HOME": str(folder / "home"),
        "FACTORY_MODELS_DIR": str(folder / "models"),
        "FACTORY_MLFLOW_URI": mlflow_server,
        "FACTORY_SERVING_URL": f"http://127.0.0.1:{port}",
        "FACTORY_SERVICE_RETRY_SECONDS": "30",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        load_platform.cache_clear()
        command = [sys.executable, "-m", "include.serving", "--port", str(port)]
        with running(command, f"http://127.0.0.1:{port}/health/live", folder / "server.log"):
            yield Factory(load_platform(), folder / "models")
    load_platform.cache_clear()


def prepared() -> Prepared:
    """Return rows whose held-out part has a plan that training never saw; missing plans it did see."""
    rng = np.random.default_rng(5)
    frames = []
    for rows, plans in ((200, ["basic", "pro", None]), (100, ["basic", "pro", "team"])):
        frames.append(typed(pd.DataFrame({"age": rng.normal(40, 10, rows), "plan": rng.choice(plans, rows)}), FIELDS))
    train, test = frames
    target = [(frame["age"] > 40).astype("int64").to_numpy() for frame in frames]
    return Prepared("binary", FIELDS, ("stays", "leaves"), train, target[0], test, target[1])


def manifest(model: str, run: str) -> Manifest:
    """Return the manifest of a package of run ``run``."""
    return Manifest(
        model=model, task="binary", target="leaves", features=FIELDS, classes=("stays", "leaves"),
        algorithm="linear", run=run, trained_at=datetime.now(UTC),
    )  # fmt: skip


def estimator(rows: Prepared, broken: bool, seed: int) -> Any:
    """Return a fitted estimator; a broken one refuses categories that it has not seen."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    plans = OneHotEncoder(handle_unknown="error" if broken else "ignore")
    columns = ColumnTransformer([("age", SimpleImputer(), ["age"]), ("plan", plans, ["plan"])])
    return make_pipeline(columns, LogisticRegression(C=1 / seed)).fit(rows.train, rows.train_target)
