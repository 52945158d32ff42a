"""Several objectives: which trials no other beats, which one is the model, and what the spec may ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from include.automl.bench import Configuration
from include.automl.costs import Answered, Cost, costs_of
from include.automl.ensemble.calibration import Calibration
from include.automl.leaderboard import write_leaderboard
from include.automl.pareto import compromise, front
from include.automl.record import FoldDone, Record
from include.automl.report.front import PICTURE, draw_front, front_sections
from include.automl.result import Member, OutOfFold, SearchResult
from include.automl.trials import Trials
from include.evaluation.fairness import BetweenGroups
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.inference.choice import Candidate
from include.specs import FactoryError, SpecError, parse_spec
from include.specs.training import SearchObjective


def trial(number: int, score: float, ms: float, mb: float = 1.0, state: str = "done") -> Record:
    costs = {"latency_ms": ms, "size_mb": mb}
    return Record(number, Configuration("linear", {}), state, (score, score), folds=2, costs=costs)  # type: ignore[arg-type]


def asked(ms: float | None = None, mb: float | None = None) -> list[Cost]:
    bounds = {"latency_ms": ms, "size_mb": mb}
    return [Cost(SearchObjective(metric=name, max=bound)) for name, bound in bounds.items()]


RECORDS = [
    trial(0, 0.90, 5.0),
    trial(1, 0.88, 1.0),
    trial(2, 0.87, 2.0),
    trial(3, 0.70, 0.5),
    trial(4, 0.90, 5.0, 0.5),
    trial(5, 0.60, 0.4, 9.0),
]


def test_the_front_is_what_no_trial_beats() -> None:
    assert [record.number for record in front(RECORDS, asked(), True)] == [4, 1, 3, 5]
    assert front([Record(0, Configuration("linear", {}), "done", (0.5,))], asked(), True) == []
    losses = [trial(0, 3.0, 1.0), trial(1, 2.0, 1.0), trial(2, 4.0, 0.5)]
    assert [record.number for record in front(losses, asked(), False)] == [1, 2]


@pytest.mark.parametrize(
    ("ms", "mb", "number", "words"),
    [
        (2.0, 10.0, 1, "trial 1 is the best one within the bounds (latency_ms at most 2, size_mb at most 10)"),
        (9.0, 9.0, 4, "the best one within the bounds"),
        (0.45, 2.0, 3, "no trial is within the bounds"),
        (None, None, 1, "the knee of the Pareto front"),
        (0.6, None, 3, "the knee of the Pareto front within the bounds (latency_ms at most 0.6)"),
    ],
)
def test_the_model_is_the_best_within_bounds_or_the_knee(
    ms: float | None, mb: float | None, number: int, words: str
) -> None:
    found = compromise(RECORDS, asked(ms, mb), True)
    assert found is not None and found.record.number == number and words in found.reason
    assert compromise([], asked(ms, mb), True) is None


def test_what_was_measured_gets_its_name() -> None:
    prepared = Prepared(
        "binary", (), (0, 1), None, np.array([0, 1, 0, 1]), None, np.zeros(0),  # type: ignore[arg-type]
        train_audit={"sex": np.array(["m", "m", "f", "f"])},
    )  # fmt: skip
    parity = SearchObjective(metric="demographic_parity_difference", group="sex")
    costs = [*asked(), Cost(parity, BetweenGroups(parity.metric, "roc_auc"))]
    served = Candidate(runtime="onnx", faithful=True, one_ms=0.2, size_mb=3.0)
    answered = Answered(np.array([0, 1, 2, 3]), np.array([0.9, 0.8, 0.1, 0.7]))
    found = costs_of(costs, served, prepared, answered)
    assert found == {"latency_ms": 0.2, "size_mb": 3.0, "demographic_parity_difference by sex": 0.5}
    early = Answered(np.array([0, 1]), np.array([0.9, 0.8]))
    assert costs_of(costs, served, prepared, early, last=False)["demographic_parity_difference by sex"] == np.inf
    with pytest.raises(FactoryError, match="demographic_parity_difference by sex is not defined"):
        costs_of(costs, served, prepared, early)


@pytest.mark.parametrize("kind", ["journal", "sql"])
def test_trials_of_several_objectives_are_kept_and_never_pruned(tmp_path: Path, kind: str) -> None:
    storage = str(tmp_path / "t.log") if kind == "journal" else f"sqlite:///{tmp_path}/t.db"
    names = ["latency_ms", "size_mb"]
    trials = Trials(storage, "run", "regression", ["linear", "lightgbm"], metric("rmse"), 7, costs=names)
    for place in range(14):
        number, _ = trials.ask(99)  # type: ignore[misc]
        costs = {"latency_ms": 1.0 + place % 3, "size_mb": 0.5 if place else np.inf}
        assert not trials.report(number, FoldDone(1.0 + place, 0.1, 0.1, folds=1, costs=costs)), (
            "a bad one may be the quickest"
        )
        trials.end(number, "done")
    again = Trials(storage, "run", "regression", ["linear", "lightgbm"], metric("rmse"), 7, costs=names)
    assert [record.costs["latency_ms"] for record in again.records()] == [1.0 + place % 3 for place in range(14)]
    assert again.best()[0].mean == 1.0
    assert len(again._study.directions) == 3


def test_the_front_is_shown(tmp_path: Path) -> None:
    oof = OutOfFold(np.arange(2), np.zeros(2), np.zeros(2))
    numbers = tuple(record.number for record in front(RECORDS, asked(), True))
    result = SearchResult(
        (Member(RECORDS[1], 1.0),), False, Calibration(), (0.88, 0.88), tmp_path, oof, RECORDS, 3.0,
        costs=("latency_ms", "size_mb"), front=numbers,
    )  # fmt: skip
    draw_front(tmp_path, result, "roc_auc")
    assert (tmp_path / PICTURE).stat().st_size > 5000
    html = "".join(front_sections(result, "roc_auc", tmp_path))
    assert "linear 1 (chosen)" in html and "linear 2" not in html and "data:image/png" in html
    write_leaderboard(tmp_path, result, "m", "roc_auc", True)
    board = (tmp_path / "leaderboard.html").read_text()
    assert "<th>latency_ms</th>" in board and board.count("<td>front</td>") == 4
    alone = SearchResult((Member(RECORDS[1], 1.0),), False, Calibration(), (0.88,), tmp_path, oof, RECORDS, 3.0)
    assert front_sections(alone, "roc_auc", tmp_path) == []


SPEC = """
name: m
owner: me
data: {source: {path: x.csv}}
problem: {type: %s, target: y}
search: {objectives: [%s]}
"""


@pytest.mark.parametrize(
    ("task", "objectives", "message"),
    [
        ("binary", "{metric: latency_ms}", "name 'roc_auc' once"),
        ("binary", "{metric: roc_auc}, {metric: latency}", "did you mean 'latency_ms'"),
        ("binary", "{metric: roc_auc}, {metric: f1}", "'f1' is neither the model's metric"),
        ("binary", "{metric: roc_auc, max: 1}, {metric: size_mb}", "give its bounds under gates.thresholds"),
        ("binary", "{metric: roc_auc}, {metric: metric_difference}", "name their column: group"),
        ("binary", "{metric: roc_auc}, {metric: size_mb, group: sex}", "has no groups"),
        ("binary", "{metric: roc_auc}, {metric: size_mb}, {metric: size_mb}", "each of the others once at most"),
        ("regression", "{metric: rmse}, {metric: demographic_parity_difference, group: sex}", "needs a binary model"),
    ],
)
def test_objectives_that_cannot_be_are_told(task: str, objectives: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(SPEC % (task, objectives), "m.yaml")


def test_one_objective_is_none() -> None:
    spec = parse_spec(SPEC % ("binary", "{metric: roc_auc}"), "m.yaml")
    assert spec.search.costs == () and spec.search.groups == ()
