"""Several objectives at once, from the spec to the report: quality, time of a row, size, differences between groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.automl.search import Plan, search
from include.evaluation.fairness import BetweenGroups
from include.evaluation.metrics import metric
from include.evaluation.outputs import read_outputs
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.specs import parse_spec
from include.steps.search_plan import costs_asked
from tests.integration.automl.conftest import Training

SPEC = """
name: fair
owner: tests
data: {source: {path: x.csv}}
problem: {type: binary, target: y, positive: 1, metric: roc_auc}
features: {exclude: [sex]}
search:
  folds: 3
  max_trials: 4
  families: [linear, lightgbm]
  objectives:
  - {metric: roc_auc}
  - {metric: latency_ms}
  - {metric: size_mb}
  - {metric: demographic_parity_difference, group: sex}
"""
PARITY = "demographic_parity_difference by sex"


def people(rows: int = 600) -> pd.DataFrame:
    """Return rows whose target depends on a column that tells the sex, which is no feature."""
    rng = np.random.default_rng(0)
    sex = rng.integers(0, 2, rows)
    values = rng.normal(size=(rows, 3)) + np.outer(sex, [1.5, 0, 0])
    odds = values[:, 0] + values[:, 1] ** 2 - 1.5
    y = (rng.random(rows) < 1 / (1 + np.exp(-2 * odds))).astype(int)
    return pd.DataFrame(values, columns=list("abc")).assign(sex=np.where(sex, "f", "m"), y=y)


def test_the_knee_of_the_front_is_fitted_alone(tmp_path: Path) -> None:
    spec = parse_spec(SPEC, "x")
    prepare_rows(people(), spec, False).prepared.save(tmp_path / "rows")
    storage, scratch = str(tmp_path / "j.log"), tmp_path / "scratch"
    plan = Plan(tmp_path / "rows", spec, metric("roc_auc"), 6.0, storage, scratch, "study", costs=costs_asked(spec))
    result = search(plan)
    done = {record.number: record for record in result.records if record.state == "done"}
    assert result.costs == ("latency_ms", "size_mb", PARITY)
    assert done and all(set(record.costs) == set(result.costs) for record in done.values())
    assert all(0 < record.costs["latency_ms"] < 1000 and 0 <= record.costs[PARITY] <= 1 for record in done.values())
    assert len(result.members) == 1 and not result.bagged, "what no bound holds back is not averaged"
    assert result.winner.number in result.front and set(result.front) <= set(done)
    (line,) = result.notes
    assert f"trial {result.winner.number} is the knee of the Pareto front" in line
    prepared = Prepared.load(plan.data)
    assert [field.name for field in prepared.fields] == ["a", "b", "c"]
    assert set(prepared.train_audit["sex"]) == {"f", "m"}


def step(train: Callable[..., Training], **bounds: float) -> tuple[Training, Any]:
    objectives: list[dict[str, Any]] = [{"metric": "roc_auc"}]
    objectives += [{"metric": name, "max": bound} for name, bound in bounds.items()]
    objectives.append({"metric": "demographic_parity_difference", "group": "sex", "max": 1})
    run = train(
        {
            "problem": {"type": "binary", "target": "y", "positive": 1, "metric": "roc_auc"},
            "features": {"exclude": ["sex"]},
            "search": {
                "budget": "6s", "max_trials": 3, "families": ["linear", "lightgbm"], "folds": 3, "objectives": objectives,
            },
        }
    )  # fmt: skip
    run.prepare(people())
    return run, run.step("search")


def test_an_ensemble_within_the_bounds_is_the_model(train: Callable[..., Training]) -> None:
    run, result = step(train, latency_ms=500, size_mb=500)
    assert result.status == "done", result.message
    assert "the model is within every bound of search.objectives" in result.message
    assert set(result.values["objectives"]) == {"latency_ms", "size_mb", PARITY}
    evaluated = run.step("evaluate")
    assert evaluated.status == "done", evaluated.message
    with run.folder.store.local(run.folder.path("prepare", "prepared")) as folder:
        prepared = Prepared.load(Path(folder))
    with run.folder.store.local(run.folder.path("evaluate", "predictions.parquet")) as file:
        _, outputs = read_outputs(Path(file))
    parity = BetweenGroups("demographic_parity_difference", "roc_auc")
    expected = parity(prepared.test_target, outputs, prepared.test_audit["sex"], threshold=0.5)
    assert evaluated.values["differences"] == {PARITY: pytest.approx(expected)}
    with run.folder.store.local(run.folder.path("evaluate", "report.html")) as file:
        page = Path(file).read_text()
    assert "Pareto front" in page and PARITY in page and "difference between groups" in page


def test_a_bound_that_nothing_keeps_is_told(train: Callable[..., Training]) -> None:
    _, result = step(train, latency_ms=1e-6)
    assert result.status == "done", result.message
    assert "the ensemble has latency_ms" in result.message or result.values["algorithm"] != "ensemble"
    assert "the model has latency_ms" in result.message and "(at most 1e-06)" in result.message
