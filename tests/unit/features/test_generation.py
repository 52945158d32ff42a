"""Generated features are found where there is something to find, and not where there is only luck."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.evaluation.metrics import metric
from include.features.generated import Generated
from include.features.generation import propose
from include.features.prepared import Prepared
from include.specs.training import METRICS, Features, Task
from include.store.packages import Field, typed

ROWS = 2000
FIELDS = (
    *(Field(name=name, type="number") for name in ("income", "debt", "age", "noise")),
    *(Field(name=name, type="string") for name in ("shop", "plan")),
    *(Field(name=name, type="datetime") for name in ("signup", "cancel")),
)


def prepared(kind: str, seed: int = 0, rows: int = ROWS) -> Prepared:
    """Return rows whose target hangs on two columns together, in the way of ``kind``, or on nothing new."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = typed(
        pd.DataFrame(
            {
                "income": rng.lognormal(8, 1, rows),
                "debt": rng.lognormal(8, 1, rows),
                "age": rng.normal(40, 10, rows),
                "noise": rng.normal(size=rows),
                "shop": rng.choice([f"s{number}" for number in range(8)], rows),
                "plan": rng.choice([f"p{number}" for number in range(8)], rows),
                "signup": start + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
                "cancel": start + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
            }
        ),
        FIELDS,
    )
    signals: dict[str, Any] = {
        "ratio": -4 * np.abs(np.log(frame["income"] / frame["debt"])),
        "days": -np.abs((frame["cancel"] - frame["signup"]).dt.days) / 30,
        "pair": 3.0 * ((frame["shop"].str[1:].astype(int) % 2) ^ (frame["plan"].str[1:].astype(int) % 2)),
        "one": np.log(frame["income"]) * 2,
        "none": np.zeros(rows),
    }
    signal = np.asarray(signals[kind], dtype=float)
    signal = signal - np.median(signal) + rng.logistic(size=rows) * 0.5
    return Prepared(
        task="binary",
        fields=FIELDS,
        classes=(0, 1),
        train=frame,
        train_target=(signal > 0).astype(int),
        test=frame.head(5),
        test_target=np.zeros(5, dtype=int),
    )


def found(data: Prepared, task: Task = "binary", seconds: float = 60, **more: Any) -> tuple[Generated, ...]:
    return propose(data, Features(), metric(METRICS[task][0]), seconds, seed=3, **more)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ratio", {"income / debt", "debt / income"}),
        ("days", {"days from signup to cancel", "days from cancel to signup"}),
        ("pair", {"shop & plan", "plan & shop"}),
    ],
)
def test_what_hangs_on_two_columns_is_found(kind: str, names: set[str]) -> None:
    assert names & {item.name for item in found(prepared(kind))}


@pytest.mark.parametrize("kind", ["none", "one"])
def test_nothing_is_kept_where_nothing_is_to_find(kind: str) -> None:
    kept = [found(prepared(kind, seed, rows=800)) for seed in range(6)]
    assert sum(map(bool, kept)) <= 1  # of six tables, each with some 60 candidates


def test_a_linear_model_gets_what_it_cannot_bend() -> None:
    data = prepared("ratio")
    squared = (data.train["age"] - 40) ** 2
    data = replace(data, train_target=(squared > squared.median()).astype(int).to_numpy())
    assert "age²" in {item.name for item in found(data, view="scaled")}


def test_a_curve_far_from_zero_and_a_product_are_found_for_a_linear_model() -> None:
    rng = np.random.default_rng(5)
    data = prepared("none")
    years, other = rng.normal(2005, 5, ROWS), rng.normal(900, 30, ROWS)
    data = replace(data, train=data.train.assign(age=years, debt=other), task="regression", classes=None)
    curve, product = (years - 2005) ** 2 / 25, (years - 2005) * (other - 900) / 150
    for signal, name in ((curve, "age²"), (product, "debt × age")):
        bent = replace(data, train_target=signal + rng.normal(size=ROWS))
        names = {
            " × ".join(sorted(item.name.split(" × "), reverse=True))
            for item in found(bent, "regression", view="scaled")
        }
        assert name in names


def test_several_classes_and_values() -> None:
    data = prepared("ratio", rows=1000)
    signal = np.abs(np.log(data.train["income"] / data.train["debt"])).to_numpy()
    several = replace(data, task="multiclass", classes=(0, 1, 2), train_target=np.digitize(signal, [0.5, 1.5]))
    values = replace(data, task="regression", classes=None, train_target=signal)
    for task, rows in (("multiclass", several), ("regression", values)):
        names = {item.name for item in found(rows, task)}  # type: ignore[arg-type]
        assert {"income / debt", "debt / income"} & names


def test_too_little_time_or_rows_give_nothing() -> None:
    started = time.monotonic()
    assert found(prepared("ratio"), seconds=0.01) == ()
    assert time.monotonic() - started < 10
    assert found(prepared("ratio", rows=100)) == ()
