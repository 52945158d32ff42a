"""The final model of a search keeps to the spec's monotone constraints, whatever the data says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.automl.bench import outputs_of
from include.automl.search import Plan, SearchError, search
from include.evaluation.metrics import metric
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.specs import ModelSpec, parse_spec

SPEC = """
name: rising
owner: tests
data: {source: {path: x.csv}}
problem: {type: %s, target: y, metric: %s%s}
features: {monotone: {up: increasing, down: decreasing}}
search: {folds: 3, max_trials: 5, parallel: 1}
"""


def planned(folder: Path, spec: ModelSpec, frame: pd.DataFrame) -> Plan:
    prepare_rows(frame, spec, False).prepared.save(folder / "rows")
    storage, scratch = str(folder / "j.log"), folder / "scratch"
    return Plan(folder / "rows", spec, metric(spec.metric), 6.0, storage, scratch, "study")


def waves(task: str) -> pd.DataFrame:
    """Return rows in which the target rises and falls with both columns; one has gaps, one looks like a code."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"up": rng.uniform(-3, 3, 700), "down": rng.integers(0, 9, 700).astype(float)})
    rows["other"], rows["kind"] = rng.normal(size=700), rng.choice(["a", "b", "c"], 700)
    signal = np.sin(2 * rows["up"]) + rows["up"] / 2 + (rows["down"] % 3) + rows["other"] * rows["up"]
    rows.loc[::9, "up"] = np.nan
    noisy = signal + rng.normal(scale=0.3, size=700)
    return rows.assign(y=noisy if task == "regression" else (noisy > noisy.median()).astype(int))


@pytest.mark.parametrize(
    ("task", "name", "more"),
    [("binary", "roc_auc", ", positive: 1, imbalance: balanced"), ("regression", "mae", "")],
)
def test_answers_only_rise_or_only_fall(tmp_path: Path, task: str, name: str, more: str) -> None:
    import skops.io

    plan = planned(tmp_path, parse_spec(SPEC % (task, name, more), "x"), waves(task))
    result = search(plan)
    assert {record.configuration.family for record in result.records} <= {
        "lightgbm", "xgboost", "catboost", "extra_trees", "random_forest",
    }  # fmt: skip
    (line,) = result.notes
    assert "linear, knn, svm, neural_net" in line and "features.monotone" in line
    model = skops.io.load(result.file, trusted=skops.io.get_untrusted_types(file=result.file))
    rows = Prepared.load(plan.data).test.head(20)
    for column, sign, points in (("up", 1, np.linspace(-3.5, 3.5, 60)), ("down", -1, np.linspace(-1, 10, 45))):
        grid = rows.loc[rows.index.repeat(len(points))].assign(**{column: np.tile(points, len(rows))})
        steps = sign * np.diff(outputs_of(model, grid).reshape(len(rows), -1), axis=1)
        assert steps.min() > -1e-7, column
    spread = outputs_of(model, rows.assign(up=3.0)) - outputs_of(model, rows.assign(up=-3.0))
    assert spread.max() > 0.05, "it does rise"


def test_a_search_without_a_family_that_could_says_so(tmp_path: Path) -> None:
    text = (SPEC % ("binary", "roc_auc", "")).replace("folds: 3", "folds: 3, families: [linear, knn]")
    plan = planned(tmp_path, parse_spec(text, "x"), waves("binary"))
    with pytest.raises(SearchError, match=r"features.monotone are left out: linear, knn; add one that can"):
        search(plan)
