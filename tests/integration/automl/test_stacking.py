"""Trials are stacked by a real search where all of them draw values to the middle, up to the steps that package them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.automl.result import configurations
from include.automl.search import Plan, search
from include.evaluation.metrics import metric
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.inference.ensemble import BlendRegressor
from include.inference.stack import StackRegressor
from include.specs import parse_spec
from tests.integration.automl.conftest import Training

SPEC = """
name: drawn
owner: tests
data: {source: {path: x.csv}}
problem: {type: regression, target: y, metric: rmse}
search: {folds: 5, max_trials: 2, parallel: 2, families: [knn, extra_trees]}
"""


def many_small_effects(rows: int = 900) -> pd.DataFrame:
    """Return rows whose target is the sum of ten columns: neighbours and few trees answer too near to the mean."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 10))
    y = values.sum(axis=1) + rng.normal(scale=0.3, size=rows)
    return pd.DataFrame(values, columns=[f"c{number}" for number in range(10)]).assign(y=y)


def test_a_real_search_stacks_what_the_mean_cannot_undo(tmp_path: Path) -> None:
    import skops.io

    spec = parse_spec(SPEC, "x")
    prepare_rows(many_small_effects(), spec, False).prepared.save(tmp_path / "rows")
    prepared = Prepared.load(tmp_path / "rows")
    storage, scratch = str(tmp_path / "j.log"), tmp_path / "scratch"
    plan = Plan(tmp_path / "rows", spec, metric("rmse"), 30.0, storage, scratch, "study")
    stacked = search(plan)
    assert stacked.stack is not None and stacked.verdict is not None and stacked.bagged, stacked.verdict
    assert sum(stacked.stack.weights) > 1.2, "what is drawn to the middle is drawn apart"
    assert sum(member.weight for member in stacked.members) == pytest.approx(1)
    assert list(configurations(stacked.algorithm, json.loads(json.dumps(stacked.parameters)))) == [
        member.record.configuration for member in stacked.members
    ]
    model = skops.io.load(stacked.file, trusted=skops.io.get_untrusted_types(file=stacked.file))
    answering = model.named_steps["model"]
    assert type(answering) is StackRegressor and answering.intercept == stacked.stack.biases[0]
    shares = np.array(answering.weights).reshape(len(stacked.members), 5)
    np.testing.assert_allclose(shares, np.repeat(np.array(stacked.stack.weights)[:, None] / 5, 5, axis=1))
    score = stacked.verdict.score
    assert stacked.mean == pytest.approx(score, rel=0.05), "folds that it was not fitted on say much the same"

    by_mean = search(replace(plan, may_stack=False))  # of the same trials
    assert by_mean.stack is None is by_mean.verdict and len(by_mean.records) == len(stacked.records)
    assert by_mean.mean == pytest.approx(stacked.verdict.against, rel=0.02)
    mean = skops.io.load(by_mean.file, trusted=skops.io.get_untrusted_types(file=by_mean.file))
    if len(by_mean.members) > 1:
        assert type(mean.named_steps["model"]) is BlendRegressor
    rmse = metric("rmse")
    before, after = (rmse(prepared.test_target, one.predict(prepared.test)) for one in (mean, model))
    assert after < 0.9 * before


@pytest.mark.parametrize("bound", [500.0, 0.001])
def test_the_steps_tell_of_a_stack_and_give_it_up_for_a_gate(train: Callable[..., Training], bound: float) -> None:
    run = train(
        {
            "problem": {"type": "regression", "target": "y", "metric": "rmse"},
            "search": {"budget": "20s", "max_trials": 2, "families": ["knn", "extra_trees"], "folds": 5},
            "gates": {"max_latency_ms": bound},
        }
    )
    run.prepare(many_small_effects(500))
    result = run.step("search")
    assert result.status == "done", result.message
    if bound == 0.001:
        first, second = (
            result.message.index("so that the weighted mean takes"),
            result.message.index("the best trial alone"),
        )
        assert "; the stack takes" in result.message and first < second
        assert result.values["algorithm"] in ("knn", "extra_trees") and "second_model" not in result.values
        return
    assert result.message.startswith("ensemble, stacked: rmse")
    told = result.values["second_model"]
    assert told["taken"] and "was taken: on 5 folds that it was not fitted on" in told["told"]
    with run.folder.store.local(run.folder.path("search", "report.html")) as file:
        page = Path(file).read_text()
    assert "The model is stacked" in page and told["told"] in page and "(stacked)" in page
    with run.folder.store.local(run.folder.path("search", "candidate.json")) as file:
        assert json.loads(Path(file).read_text())["second_model"] == told
