"""The Evidently report finds drift that is there, none that is not, and works for every task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.evaluation.evidently_report import HTML, JSON, Side, chi_square_bound, write_report
from include.evaluation.intervals import Scored
from include.store.packages import Field, typed

FIELDS = (
    Field(name="fee", type="number"),
    Field(name="age", type="number"),
    Field(name="vip", type="boolean"),
    Field(name="plan", type="string"),
    Field(name="seen", type="datetime"),
    Field(name="city", type="string"),
)


def side(rows: int, seed: int, task: str, **changes: Any) -> Side:
    rng = np.random.default_rng(seed)
    columns = {
        "fee": rng.normal(size=rows),
        "age": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
        "vip": rng.random(rows) > 0.5,
        "plan": rng.choice(["a", "b", None], rows),
        "seen": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.integers(1000, size=rows) + seed, "D"),
        "city": [f"city {number}" for number in rng.integers(5000, size=rows)],
        **{name: change(rng, rows) for name, change in changes.items()},
    }
    frame = typed(pd.DataFrame(columns), FIELDS)
    if task == "regression":
        return Side(frame, rng.normal(size=rows), Scored(rng.normal(size=rows)))
    count = 2 if task == "binary" else 3
    probabilities = rng.dirichlet([1.0] * count, rows)
    return Side(frame, rng.integers(count, size=rows), Scored(probabilities[:, 1] if count == 2 else probabilities))


CLASSES = {"binary": ("no", "yes"), "multiclass": (1, 2, 3), "regression": None}


@pytest.mark.parametrize(("task", "rows"), [("binary", 3000), ("multiclass", 600), ("regression", 600)])
def test_rows_of_one_population_do_not_drift(tmp_path: Path, task: str, rows: int) -> None:
    values = write_report(tmp_path, side(rows, 0, task), side(rows // 3, 1, task), FIELDS, CLASSES[task], 0.5)
    assert values["drifted"] == [] and values["drift_share"] == 0
    assert values["rows_train"] == rows and values["rows_test"] == rows // 3
    json.dumps(values, allow_nan=False)
    assert "<html" in (tmp_path / HTML).read_text()[:500].lower()
    metrics = json.loads((tmp_path / JSON).read_text())["metrics"]
    kinds = {metric["config"]["type"].rpartition(":")[2] for metric in metrics}
    assert {"ValueDrift", "MissingValueCount", "MAE" if task == "regression" else "Accuracy"} <= kinds
    counted = next(m for m in metrics if m["config"]["type"].endswith(":DriftedColumnsCount"))
    assert counted["value"]["count"] == 0


def test_few_held_out_rows_do_not_drift_by_chance(tmp_path: Path) -> None:
    """Between 1800 and 600 rows of one population, a distance of 0.1 is chance in one column of ten."""
    fields = tuple(Field(name=f"x{number}", type="number") for number in range(60))
    sides = []
    for rows, seed in ((1800, 0), (600, 1)):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(rows, len(fields))), columns=[field.name for field in fields])
        sides.append(Side(frame, rng.normal(size=rows), Scored(rng.normal(size=rows))))
    far = [abs(sides[0].frame[name].mean() - sides[1].frame[name].mean()) for name in sides[0].frame]
    assert max(far) > 0.1
    assert write_report(tmp_path, sides[0], sides[1], fields, None, 0.5)["drifted"] == []


@pytest.mark.parametrize(("before", "after", "levels"), [(400, 400, 2), (900, 300, 5), (300, 900, 3)])
def test_evidentlys_chi_square_keeps_its_false_alarms(before: int, after: int, levels: int) -> None:
    """Simulated: 2000 pairs of samples of one population, at 5 %; by its own p-value it calls too many different."""
    from evidently.legacy.calculations.stattests import chi_stat_test
    from evidently.legacy.core import ColumnType

    rng = np.random.default_rng(0)
    shares = np.arange(1, levels + 1) / np.arange(1, levels + 1).sum()
    called, naive, pairs = 0, 0, 2000
    for _ in range(pairs):
        one, other = (pd.Series(rng.choice(levels, rows, p=shares)) for rows in (before, after))
        value = chi_stat_test(one, other, ColumnType.Categorical, 0.05).drift_score
        called += value < chi_square_bound(0.05, one, other)
        naive += value < 0.05
    assert called / pairs == pytest.approx(0.05, abs=0.02)
    assert naive > called


@pytest.mark.parametrize("rows", [600, 12_000])
def test_what_drifts_and_what_is_lost_is_named(tmp_path: Path, rows: int) -> None:
    current = side(
        rows, 1, "binary",
        fee=lambda rng, n: rng.normal(1.0, size=n),
        plan=lambda rng, n: np.where(rng.random(n) < 0.9, "b", "a"),
        age=lambda rng, n: np.full(n, np.nan),
    )  # fmt: skip
    values = write_report(tmp_path, side(rows, 0, "binary"), current, FIELDS, CLASSES["binary"], 0.3)
    assert values["drifted"] == ["fee", "plan"]
    assert values["drift_share"] == 2 / 4  # dates and empty columns are not compared
    assert next(iter(values["quality"]["missing_rose"])) == "age"
    assert values["quality"]["missing_rose"]["age"] == pytest.approx(0.9, abs=0.03)
    metrics = json.loads((tmp_path / JSON).read_text())["metrics"]
    counted = next(m for m in metrics if m["config"]["type"].endswith(":DriftedColumnsCount"))
    assert counted["value"]["count"] == 2
