"""Leaks are found on strong evidence only: what gives the target away is dropped, honest columns never are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from include.features.leaks import find_leaks
from include.features.preparation import prepare_rows
from include.features.schema import detect, read
from include.features.target import encode_target
from include.specs import ModelSpec

ROWS = 2000


def spec(kind: str = "binary", target: str = "y", **features: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "demo",
            "owner": "me",
            "data": {"source": {"type": "csv", "path": "demo.csv"}},
            "problem": {"type": kind, "target": target},
            "features": features,
        }
    )


def table(kind: str = "binary", rows: int = ROWS) -> pd.DataFrame:
    """Return honest columns: noise, a good one, and a category."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=rows)
    y: Any = signal + rng.normal(size=rows)
    if kind != "regression":
        y = np.digitize(y, np.quantile(y, [0.7] if kind == "binary" else [0.3, 0.7]))
    shop = rng.choice(list("abcdef"), rows)
    return pd.DataFrame({"signal": signal, "noise": rng.normal(size=rows), "shop": shop, "y": y})


def leaky(kind: str) -> dict[str, Any]:
    """Return columns that give the target of `table` away, each in its own way."""
    y = table(kind)["y"].to_numpy()
    rng = np.random.default_rng(1)
    if kind == "regression":
        return {"euros": y * 1.1 + 5, "rank": np.exp(y / 3), "rounded": np.round(y, 3)}
    left = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 500, ROWS), unit="D")
    return {
        "words": np.array(["no", "yes", "perhaps"])[y],
        "score": y + rng.normal(0, 0.01, ROWS),
        "left_at": pd.Series(left).where(y > 0) if kind == "binary" else np.where(y == 1, -50.0, y),
        "reasons": [f"{label}-{number}" for label, number in zip(y, rng.integers(0, 40, ROWS), strict=True)],
    }


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_what_gives_the_target_away_is_dropped_with_its_reason(kind: str) -> None:
    found = prepare_rows(table(kind).assign(**leaky(kind)), spec(kind), ordered=False)
    assert [field.name for field in found.schema.fields] == ["signal", "noise", "shop"]
    assert list(found.prepared.train.columns) == list(found.prepared.test.columns) == ["signal", "noise", "shop"]
    for name in leaky(kind):
        assert "features.include" in found.schema.dropped[name], name
    if kind == "binary":
        assert "in other words" in found.schema.dropped["words"]
        assert "ROC-AUC 1.0000" in found.schema.dropped["left_at"]


def test_a_column_that_the_user_names_is_kept_and_told() -> None:
    frame = table().assign(**leaky("binary"))
    found = prepare_rows(frame, spec(include=["signal", "words"]), ordered=False)
    assert [field.name for field in found.schema.fields] == ["signal", "words"]
    assert any(note.startswith("words: says the same as the target") for note in found.schema.notes)


def test_the_only_column_is_kept() -> None:
    frame = table()[["y"]].assign(words=leaky("binary")["words"])
    found = prepare_rows(frame, spec(), ordered=False)
    assert [field.name for field in found.schema.fields] == ["words"]
    assert any(note.startswith("words: says") for note in found.schema.notes)


def test_what_nearly_tells_the_target_is_kept_and_told() -> None:
    frame = table()
    rng = np.random.default_rng(2)
    frame["near"] = frame["y"] + rng.normal(0, 0.19, ROWS)
    found = prepare_rows(frame, spec(), ordered=False)
    assert "near" in [field.name for field in found.schema.fields]
    assert any(note.startswith("near: tells the target alone") for note in found.schema.notes)


def test_a_small_table_may_be_separable() -> None:
    frame = table(rows=200)
    frame["apart"] = frame["y"] * 10 + np.random.default_rng(3).normal(size=200)
    assert "apart" in [field.name for field in prepare_rows(frame, spec(), ordered=False).schema.fields]


def test_levels_with_a_row_each_are_no_leak() -> None:
    """Each level of its own rows only says its class: on rows fitted on that looks like certainty."""
    frame = table()
    frame["token"] = [f"t{row // 2}" for row in range(ROWS)]
    assert "token" in [field.name for field in prepare_rows(frame, spec(), ordered=False).schema.fields]


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_honest_problems_keep_their_columns(name: str) -> None:
    data = getattr(datasets, f"load_{name}")(as_frame=True)
    task = {"breast_cancer": "binary", "diabetes": "regression"}.get(name, "multiclass")
    schema = detect(data.frame, spec(task, "target"))
    rows = read(data.frame, schema.fields)
    assert find_leaks(rows, schema.fields, data.target.to_numpy(), task).columns == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "target", "kind"),
    [
        ("telco_churn", "Churn", "binary"),
        ("adult", "income", "binary"),
        ("lending_club", "Class", "binary"),
        ("phoneme", "nasal", "binary"),
        ("california_housing", "median_house_value", "regression"),
        ("ames_housing", "Sale_Price", "regression"),
        ("abalone", "rings", "regression"),
        ("hotel_rates", "avg_price_per_room", "regression"),
    ],
)
def test_real_tables_keep_their_columns(real_data: Path, file: str, target: str, kind: str) -> None:
    frame = pd.read_csv(real_data / f"{file}.csv")
    named = next(name for name in frame.columns if name.lower() == target.lower())
    asked = spec(kind, named)
    schema = detect(frame, asked)
    y = encode_target(frame[named], asked.problem)
    found = find_leaks(read(frame, schema.fields)[y.known], schema.fields, y.values, asked.problem.type)
    assert found.columns == {}
