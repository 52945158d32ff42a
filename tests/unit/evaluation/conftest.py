"""A small fitted package over mixed columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from include.features.plan import build_plan
from include.features.prepared import Prepared
from include.specs.training import Features
from include.store.packages import Field, Manifest, ModelPackage, typed

FIELDS = (
    Field(name="fee", type="number"),
    Field(name="noise", type="number"),
    Field(name="plan", type="string"),
)


def rows(count: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"fee": rng.normal(size=count), "noise": rng.normal(size=count), "plan": rng.choice(["a", "b"], count)}
    )
    odds = 2 * frame["fee"] + 0.7 * (frame["plan"] == "a")
    return typed(frame, FIELDS), (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(int).to_numpy()


@pytest.fixture(scope="session")
def prepared() -> Prepared:
    train, train_target = rows(600, 0)
    test, test_target = rows(400, 1)
    return Prepared("binary", FIELDS, ("stays", "leaves"), train, train_target, test, test_target)


def fit(prepared: Prepared, fields: tuple[Field, ...] = FIELDS, **manifest: Any) -> ModelPackage:
    """Return a logistic regression over ``fields``; further arguments change its manifest."""
    plan = build_plan(fields, Features(), "binary", "scaled")
    pipeline = Pipeline([("features", plan), ("model", LogisticRegression())])
    pipeline.fit(prepared.train[[field.name for field in fields]], prepared.train_target)
    known = {
        "model": "m",
        "task": "binary",
        "target": "churned",
        "features": fields,
        "classes": ("stays", "leaves"),
        "algorithm": "linear",
        "run": "r",
        "trained_at": datetime.now(UTC),
    }
    return ModelPackage(Manifest(**{**known, **manifest}), pipeline)


@pytest.fixture(scope="session")
def package(prepared: Prepared) -> ModelPackage:
    return fit(prepared)
