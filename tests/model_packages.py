"""Small fitted packages of every kind, put where the registry's fetch would put them: into the package cache."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from include.features.plan import FeaturePlan
from include.inference.choose import choose_runtime
from include.inference.frames import rows_of
from include.inference.scorer import Row
from include.specs.training import Packaging
from include.store.packages import Field, Manifest, ModelPackage, save_package, typed

CHURN = (
    Field(name="age", type="number", nullable=False, example=30),
    Field(name="vip", type="boolean", example=True),
    Field(name="plan", type="string", example="basic"),
    Field(name="seen", type="datetime", example="2026-01-01T00:00:00+00:00"),
)
HOUSE = tuple(Field(name=name, type="number", example=1.5) for name in ("rooms", "area", "year"))
ROW = {"age": 33, "vip": True, "plan": "pro", "seen": "2026-02-01T08:00:00Z"}


def put(home: Path, model: str, version: int, package: ModelPackage, runtime: str = "sklearn") -> Path:
    """Write ``package`` as ``version`` of ``model`` into the package cache below ``home``, to be served by ``runtime``."""
    folder = home / "cache" / "models" / model / str(version)
    manifest = package.manifest.model_copy(update={"model": model})
    packaged = ModelPackage(manifest, package.estimator)
    save_package(folder, packaged)
    if runtime != "sklearn":
        choose_runtime(folder, packaged, real_rows(manifest), Packaging(runtime=runtime))
    return folder


def real_rows(manifest: Manifest) -> list[Row]:
    """Return rows of a model's columns, some with gaps."""
    frame = (
        _churn_frame()
        if [field.name for field in manifest.features] == [field.name for field in CHURN]
        else _numbers(100)
    )
    data = typed(frame, manifest.features)
    data.iloc[::7, 0] = np.nan
    return rows_of(data, manifest.features)


def _manifest(task: str, fields: tuple[Field, ...], classes: tuple[Any, ...] | None, **more: Any) -> Manifest:
    return Manifest(
        model="m",
        task=task,
        target="y",
        features=fields,
        classes=classes,
        algorithm="linear",
        run="automl_pipeline.test",
        trained_at=datetime.now(UTC),
        **more,
    )


def _churn_frame(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows),
            "vip": rng.random(rows) > 0.5,
            "plan": rng.choice(["basic", "pro"], rows),
            "seen": pd.date_range("2026-01-01", periods=rows, tz="UTC"),
        }
    )


@cache
def churn(seed: int = 0) -> ModelPackage:
    """Return a binary model over columns of all four types, which ignores customer_id."""
    frame = _churn_frame()
    target = (frame["age"] + np.random.default_rng(seed).normal(0, 10, len(frame)) > 40).astype(int)
    plan = FeaturePlan(numeric=("age",), categorical=("plan",), dates=("seen",), booleans=("vip",), scale=True)
    estimator = make_pipeline(plan, LogisticRegression()).fit(typed(frame, CHURN), target)
    return ModelPackage(_manifest("binary", CHURN, ("stays", "leaves"), ignored=("customer_id",)), estimator)


@cache
def picky() -> ModelPackage:
    """Return a binary model of ``age`` and ``plan`` alone that breaks on a plan it has never seen."""
    frame = _churn_frame()
    frame.loc[::10, "plan"] = None
    fields = (CHURN[0], CHURN[2])
    columns = make_column_transformer((SimpleImputer(), ["age"]), (OneHotEncoder(handle_unknown="error"), ["plan"]))
    target = (frame["age"] > 40).astype(int)
    estimator = make_pipeline(columns, LogisticRegression()).fit(typed(frame, fields), target)
    return ModelPackage(_manifest("binary", fields, ("stays", "leaves"), ignored=("vip", "seen")), estimator)


@cache
def boosted() -> ModelPackage:
    """Return a binary XGBoost model over columns of all four types."""
    from xgboost import XGBClassifier

    frame = _churn_frame()
    target = (frame["age"] + np.random.default_rng(0).normal(0, 10, len(frame)) > 40).astype(int)
    plan = FeaturePlan(numeric=("age",), categorical=("plan",), dates=("seen",), booleans=("vip",))
    estimator = make_pipeline(plan, XGBClassifier(n_estimators=30, n_jobs=1)).fit(typed(frame, CHURN), target)
    return ModelPackage(_manifest("binary", CHURN, ("stays", "leaves"), ignored=("customer_id",)), estimator)


@cache
def thrifty() -> ModelPackage:
    """Return a binary model that leaves out two of its columns: ``plan`` and ``seen``."""
    frame = _churn_frame()
    target = (frame["age"] + np.random.default_rng(0).normal(0, 10, len(frame)) > 40).astype(int)
    plan = FeaturePlan(numeric=("age",), booleans=("vip",), scale=True)
    estimator = make_pipeline(plan, LogisticRegression()).fit(typed(frame, CHURN), target)
    fields = tuple(field.model_copy(update={"used": field.name in ("age", "vip")}) for field in CHURN)
    return ModelPackage(_manifest("binary", fields, ("stays", "leaves"), ignored=("customer_id",)), estimator)


def _numbers(rows: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(rows, len(HOUSE)))
    return pd.DataFrame(values, columns=[field.name for field in HOUSE])


@cache
def house(seed: int = 0) -> ModelPackage:
    """Return a regression over numbers alone."""
    frame = _numbers(100, seed)
    estimator = make_pipeline(SimpleImputer(), LinearRegression()).fit(frame, frame.sum(axis=1))
    return ModelPackage(_manifest("regression", HOUSE, None), estimator)


@cache
def digits() -> ModelPackage:
    """Return a model of three classes that are numbers."""
    frame = _numbers(150)
    codes = np.digitize(frame["area"], [-0.5, 0.5])
    estimator = make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame, codes)
    return ModelPackage(_manifest("multiclass", HOUSE, (0, 1, 2)), estimator)
