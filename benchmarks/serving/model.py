"""The model that every system serves, in each one's own format: 200 boosted trees over six numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.specs import Platform
from include.store.routes import Route, RouteStore, Variant

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from xgboost import XGBClassifier

NAME = "bench"
FEATURES = tuple(f"x{number}" for number in range(6))
TREES, DEPTH = 200, 6
ROWS = 1000


@dataclass(frozen=True)
class Served:
    """Where the model lies, and what it must answer.

    Attributes:
        folder: `home` (ours), `model.ubj`, `model.onnx`, `mlflow`, `mlserver`.
        rows: rows to ask for, shape (ROWS, 6).
        expected: probability of class 1 of each of them.
    """

    folder: Path
    rows: NDArray[np.float64]
    expected: NDArray[np.float64]


def make(folder: Path) -> Served:
    """Train the model and write it into ``folder`` for every system."""
    from sklearn.datasets import make_classification
    from xgboost import XGBClassifier

    rows, labels = make_classification(8000, len(FEATURES), n_informative=4, random_state=0)
    rows = rows.round(4)
    classifier = XGBClassifier(n_estimators=TREES, max_depth=DEPTH, learning_rate=0.1, n_jobs=1, random_state=0)
    classifier.fit(rows, labels)
    asked = rows[:ROWS]
    classifier.save_model(folder / "model.ubj")
    _write_onnx(folder, classifier)
    _write_mlflow(folder, classifier)
    _write_mlserver(folder)
    _write_ours(folder, classifier, rows)
    return Served(folder, asked, classifier.predict_proba(asked)[:, 1].astype(np.float64))


def _write_onnx(folder: Path, classifier: XGBClassifier) -> None:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = convert_xgboost(classifier, initial_types=[("x", FloatTensorType([None, len(FEATURES)]))])
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def _write_mlflow(folder: Path, classifier: XGBClassifier) -> None:
    """Save the booster: the classifier's own flavour answers labels only, and its probabilities are asked for."""
    import mlflow.xgboost

    mlflow.xgboost.save_model(classifier.get_booster(), str(folder / "mlflow"), pip_requirements=["xgboost"])


def _write_mlserver(folder: Path) -> None:
    """Write the settings that its documentation shows; no worker processes, since one worker is what is compared."""
    settings = folder / "mlserver"
    settings.mkdir()
    (settings / "settings.json").write_text(json.dumps({"parallel_workers": 0, "debug": False}))
    model = {
        "name": NAME,
        "implementation": "mlserver_xgboost.XGBoostModel",
        "parameters": {"uri": str(folder / "model.ubj"), "version": "1"},
    }
    (settings / "model-settings.json").write_text(json.dumps(model))


def _write_ours(folder: Path, classifier: XGBClassifier, rows: Any) -> None:
    """Package the model as training does, where the registry's fetch puts packages, and route to it."""
    import pandas as pd
    from sklearn.pipeline import make_pipeline

    from include.features.plan import FeaturePlan
    from include.inference.choose import choose_runtime
    from include.specs.training import Packaging
    from include.store.packages import Field, Manifest, ModelPackage, save_package

    frame = pd.DataFrame(rows, columns=list(FEATURES))
    plan = FeaturePlan(numeric=FEATURES).fit(frame)
    manifest = Manifest(
        model=NAME,
        task="binary",
        target="y",
        features=tuple(Field(name=name, type="number", example=0.5) for name in FEATURES),
        classes=(0, 1),
        algorithm="xgboost",
        run=f"{NAME}.benchmark",
        trained_at=datetime.now(UTC),
    )
    home = folder / "home"
    package = ModelPackage(manifest, make_pipeline(plan, classifier))
    target = home / "cache" / "models" / NAME / "1"
    save_package(target, package)
    choose_runtime(target, package, [tuple(row) for row in rows.tolist()], Packaging())
    RouteStore(Platform(home=home)).put(Route(NAME, (Variant("champion", "1", 100),)))
