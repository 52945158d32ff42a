"""A small world whose truth is known: rows drawn from one population, and a model fitted on some of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from include.monitoring.sample import Reference, Sample
from include.store.packages import Field, typed

FIELDS = (
    Field(name="income", type="number"),
    Field(name="age", type="number"),
    Field(name="plan", type="string"),
    Field(name="member", type="boolean"),
    Field(name="joined", type="datetime"),
)
Draw = Callable[..., pd.DataFrame]


def draw(rng: np.random.Generator, rows: int, income: float = 0.0, premium: float = 0.2, flipped: float = 0.0) -> Any:
    """Return raw rows with their label ``left``; the arguments move the population."""
    frame = pd.DataFrame(
        {
            "income": rng.normal(10 + income, 2, rows),
            "age": rng.integers(18, 80, rows).astype(float),
            "plan": rng.choice(["basic", "plus", "premium"], rows, p=[0.7 - premium, 0.3, premium]),
            "member": rng.random(rows) < 0.6,
            "joined": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D"),
        }
    )
    frame.loc[rng.random(rows) < 0.05, "age"] = np.nan
    logit = (frame["income"] - 10) + 1.5 * (frame["plan"] == "premium") - frame["member"]
    left = rng.random(rows) < 1 / (1 + np.exp(-logit))
    frame["left"] = (left ^ (rng.random(rows) < flipped)).astype(int)
    return frame


class World:
    """Draws samples, answered by one fitted model, and its reference."""

    def __init__(self, rows: int = 1500, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        train = draw(self.rng, rows)
        columns = make_column_transformer(
            (SimpleImputer(), ["income", "age", "member"]), (OneHotEncoder(handle_unknown="ignore"), ["plan"])
        )
        self.model = make_pipeline(columns, LogisticRegression(max_iter=1000))
        features = typed(train, FIELDS)
        self.model.fit(features, train["left"])
        self.reference = Reference("binary", FIELDS, (0, 1), features, self.sample(600))

    def sample(self, rows: int, **moved: float) -> Sample:
        raw = draw(self.rng, rows, **moved)
        return self.answered(raw)

    def answered(self, raw: pd.DataFrame) -> Sample:
        features = typed(raw, FIELDS)
        return Sample(features, self.model.predict_proba(features)[:, 1], raw["left"].to_numpy(dtype=float))


@pytest.fixture(scope="session")
def world() -> World:
    return World()
