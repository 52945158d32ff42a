"""Ranks, verdicts and intervals of the benchmark say what was measured, and cover the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.automl.cells import Cell
from benchmarks.automl.datasets import Dataset
from benchmarks.automl.report import markdown
from benchmarks.automl.scoring import REPLICATES, scores
from benchmarks.automl.statistics import compare, mean_ranks, points, ratio, splits_of
from benchmarks.automl.summary import held, summarise
from include.specs import FactoryError

BINARY = Dataset("made_up", "binary", "y", pd.DataFrame, "here")
REGRESSION = Dataset("made_up", "regression", "y", pd.DataFrame, "here")


def cell(dataset: str, system: str, score: float | None, seed: int = 0, **known: Any) -> Cell:
    return Cell(
        **{
            "dataset": dataset, "system": system, "budget": 60.0, "seed": seed, "version": "1", "task": "regression",
            "metric": "rmse", "date": "2026-11-21", "machine": {"cores": "2"}, "versions": {}, "others": 0.0,
            "load": 0.0, "score": score, "failure": "" if score is not None else "it broke",
            "fit_seconds": 60.0, "one_row_ms": 1.0, "replicates": [] if score is None else [score] * 5, **known,
        }
    )  # fmt: skip


def noisy(dataset: str, system: str, mean: float, noise: np.ndarray, **known: Any) -> Cell:
    return cell(dataset, system, mean, replicates=(mean + noise).tolist(), **known)


def test_ranks_are_shared_by_equals_and_a_failure_is_last() -> None:
    cells = [cell("a", "ours", 1.0), cell("a", "flaml", 1.0), cell("a", "autogluon-best", None)]
    cells += [cell("b", "ours", 3.0), cell("b", "flaml", 2.0), cell("b", "autogluon-best", 1.0)]
    cells += [cell("c", "ours", 1.0)]  # not every system was there: it says nothing of ranks
    ranks = mean_ranks(splits_of(cells, 60.0), ["ours", "flaml", "autogluon-best"])
    assert [ranks[name].value for name in ranks] == [(1.5 + 3) / 2, (1.5 + 2) / 2, (3 + 1) / 2]
    assert ranks["ours"].low <= ranks["ours"].value <= ranks["ours"].high
    assert mean_ranks(splits_of(cells, 300.0), ["ours", "flaml"]) == {}


def test_seeds_of_a_data_set_count_as_one() -> None:
    cells = [cell("a", name, score, seed) for seed in range(9) for name, score in (("ours", 1.0), ("flaml", 2.0))]
    cells += [cell("b", "ours", 2.0), cell("b", "flaml", 1.0)]
    assert mean_ranks(splits_of(cells, 60.0), ["ours", "flaml"])["ours"].value == 1.5


@pytest.mark.parametrize(("metric", "verdict"), [("rmse", "loss"), ("roc_auc", "win")])
def test_a_difference_beyond_the_draw_of_the_rows_decides(metric: str, verdict: str) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=REPLICATES)  # shared by both: it cancels out
    pair = [noisy("a", "ours", 0.82, noise, metric=metric), noisy("a", "flaml", 0.80, noise, metric=metric)]
    (found,) = compare(splits_of(pair, 60.0), "ours", "flaml")
    assert found.verdict == verdict
    assert found.difference == pytest.approx(0.02 if verdict == "win" else -0.02)
    own = np.random.default_rng(1).normal(scale=0.1, size=REPLICATES)
    pair[1] = noisy("a", "flaml", 0.80, own, metric=metric)
    (found,) = compare(splits_of(pair, 60.0), "ours", "flaml")
    assert found.verdict == "tie" and found.low < 0 < found.high


def test_more_seeds_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(0)
    cells = [
        noisy("a", name, 1.0, rng.normal(size=REPLICATES), seed=seed) for seed in range(9) for name in ("ours", "flaml")
    ]
    (nine,) = compare(splits_of(cells, 60.0), "ours", "flaml")
    (one,) = compare(splits_of(cells[:2], 60.0), "ours", "flaml")
    assert (nine.high - nine.low) / (one.high - one.low) == pytest.approx(1 / 3, rel=0.25)


def test_failures_decide_a_data_set() -> None:
    cells = [cell(*known) for known in (("a", "ours", None), ("a", "flaml", 1.0), ("b", "ours", 1.0))]
    cells += [cell(*known) for known in (("b", "flaml", None), ("c", "ours", None), ("c", "flaml", None))]
    found = compare(splits_of(cells, 60.0), "ours", "flaml")
    assert [one.verdict for one in found] == ["loss", "win", "tie"]
    assert points(found).value == 0.5


def test_a_tie_is_declared_as_often_as_promised() -> None:
    """Two equal systems on new rows: their difference is beyond the noise about once in twenty."""
    rng, false = np.random.default_rng(0), 0
    target = np.zeros(400)
    for draw in range(200):
        noise = rng.normal(size=(2, 400))
        pair = []
        for name, errors in zip(("ours", "flaml"), noise, strict=True):
            score, replicates = scores(REGRESSION, draw, pd.Series(target), errors, None)
            pair.append(cell("a", name, score, replicates=replicates))
        false += compare(splits_of(pair, 60.0), "ours", "flaml")[0].verdict != "tie"
    assert 2 <= false <= 20


def test_resamples_are_the_same_for_every_system() -> None:
    rng = np.random.default_rng(0)
    target = pd.Series(rng.choice(["no", "yes"], 300))
    answers = rng.random((300, 2))
    answers /= answers.sum(axis=1, keepdims=True)
    score, replicates = scores(BINARY, 1, target, answers, ["no", "yes"])
    swapped, again = scores(BINARY, 1, target, answers[:, ::-1], ["yes", "no"])
    assert (score, replicates) == (swapped, again) and len(replicates) == REPLICATES
    assert np.std(replicates) == pytest.approx(1 / np.sqrt(12 * 75), rel=0.3)  # of an AUC by chance, 150 against 150
    assert scores(BINARY, 2, target, answers, ["no", "yes"])[1] != replicates


def test_a_class_that_a_system_has_not_seen_gets_no_probability() -> None:
    dataset = Dataset("made_up", "multiclass", "y", pd.DataFrame, "here")
    target, answers = pd.Series([0.0, 1.0, 2.0]), np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    score, _ = scores(dataset, 0, target, answers, [0, 1])
    assert score == pytest.approx(-np.log(np.finfo(float).eps) / 3)


@pytest.mark.parametrize("answers", [np.array([1.0, np.nan]), np.array([1.0])])
def test_answers_that_are_none_are_a_failure(answers: np.ndarray) -> None:
    with pytest.raises(FactoryError, match="not 2 finite"):
        scores(REGRESSION, 0, pd.Series([1.0, 2.0]), answers, None)


def test_a_ratio_is_taken_within_a_split_and_over_data_sets() -> None:
    times = {("a", 0): (1.0, 10.0), ("a", 1): (2.0, 20.0), ("b", 0): (1.0, 1000.0)}
    cells = [
        cell(dataset, name, 1.0, seed, one_row_ms=ms)
        for (dataset, seed), pair in times.items()
        for name, ms in zip(("ours", "flaml"), pair, strict=True)
    ]
    found = ratio(splits_of(cells, 60.0), "ours", "flaml", lambda one: one.one_row_ms)
    assert found.value == pytest.approx(100.0) and (found.low, found.high) == pytest.approx((10.0, 1000.0))
    with pytest.raises(ValueError, match="no split"):
        ratio(splits_of(cells, 60.0), "ours", "autogluon-best", lambda one: one.one_row_ms)


def test_the_summary_and_its_goals() -> None:
    rng = np.random.default_rng(0)
    peers = ("flaml", "autogluon-medium", "autogluon-best")
    cells = []
    for dataset in ("diabetes", "abalone", "randhie"):
        for seed in range(2):
            cells.append(noisy(dataset, "ours", 1.0, rng.normal(scale=1e-3, size=50), seed=seed, one_row_ms=0.1))
            cells += [noisy(dataset, p, 1.2, rng.normal(scale=1e-3, size=50), seed=seed, one_row_ms=5.0) for p in peers]
    found = summarise(cells)
    assert found["budgets"]["60"]["splits"] == 6 and found["budgets"]["60"]["datasets"] == 3
    assert found["budgets"]["60"]["against"]["flaml"]["win"] == 3
    assert {goal["title"]: goal["held"] for goal in found["goals"]} == dict.fromkeys(
        (goal["title"] for goal in found["goals"]), True
    )
    assert held(found)
    text = markdown(found)
    assert "| ours | 1 (1 to 1) | 0 of 6 |" in text and "1.2 +" in text and "**missed**" not in text

    broken = [*cells[1:], cell("diabetes", "ours", None, 0, fit_seconds=None, one_row_ms=None)]
    found = summarise(broken)
    missed = {goal["title"] for goal in found["goals"] if not goal["held"]}
    assert missed == {"failures of ours, all budgets", "points against FLAML"}
    assert "ours: diabetes, seed 0: it broke" in markdown(found) and not held(found)


def test_goals_that_nothing_was_measured_for_are_not_judged() -> None:
    found = summarise([cell("diabetes", "flaml", 1.0)])
    assert {goal["value"] for goal in found["goals"]} == {None} and held(found)
    assert "not measured" in markdown(found)
    assert summarise([])["cells"] == 0


def test_blind_data_sets_are_told_apart_and_no_goal_is_judged_by_them() -> None:
    seen = [cell("diabetes", "ours", 1.0), cell("diabetes", "flaml", 2.0)]
    blind = [cell("nhefs", "ours", 2.0), cell("nhefs", "flaml", 1.0)]
    found = summarise([*seen, *blind])
    assert found["goals"] == summarise(seen)["goals"]
    assert list(found["budgets"]["60"]["scores"]) == ["diabetes"] and list(found["blind"]["60"]["scores"]) == ["nhefs"]
    assert found["blind"]["60"]["against"]["flaml"]["loss"] == 1
    assert "## 60 s: 1 blind data sets" in markdown(found) and "| nhefs | rmse | 2 | 1 - |" in markdown(found)


def test_more_time_is_judged_on_the_splits_that_both_budgets_have() -> None:
    rng = np.random.default_rng(0)
    means = {("diabetes", 10.0, 0): 1.2, ("diabetes", 60.0, 0): 1.0, ("diabetes", 60.0, 1): 9.0}
    means |= {("abalone", 10.0, 0): 2.0, ("abalone", 60.0, 0): 2.0, ("randhie", 10.0, 0): 3.0}
    cells = [
        noisy(dataset, "ours", mean, rng.normal(scale=1e-3, size=50), seed=seed, budget=budget)
        for (dataset, budget, seed), mean in means.items()
    ]
    found = summarise([*cells, noisy("diabetes", "flaml", 1.0, rng.normal(scale=1e-3, size=50), budget=10.0)])
    (pair,) = found["more_time"]
    assert pair["budgets"] == ("10", "60") and (pair["win"], pair["tie"], pair["loss"]) == (1, 1, 0)
    assert pair["scores"] == {"abalone": {"10": 2.0, "60": 2.0}, "diabetes": {"10": 1.2, "60": 1.0}}
    text = markdown(found)
    assert "## Ours at 60 s against ours at 10 s" in text and "| diabetes | rmse | 1.2 | 1 | win |" in text
    assert "| ours |  | 0 of 3 |" in text, "alone, it has no rank"
