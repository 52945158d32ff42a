"""The search report says why a model won, what the time went into and what was left out; all of it in one file."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.automl.bench import Bench, Configuration, FoldResult
from include.automl.ensemble.calibration import Calibration
from include.automl.ensemble.combination import Stack
from include.automl.ensemble.guard import Verdict
from include.automl.families import find_family
from include.automl.leaderboard import write_plots
from include.automl.page import extended, heading, page
from include.automl.record import Record
from include.automl.report.build import search_report
from include.automl.report.effort import by_family, use_of_budget
from include.automl.report.learning import PICTURE, draw_learning_curve, learning_curve
from include.automl.report.why import lead, reasons
from include.automl.result import Member, OutOfFold, SearchResult, configurations
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.specs import FactoryError
from include.specs.training import Features
from include.store.packages import Field

RECORDS = [
    Record(0, Configuration("linear", {"strength": 1.0}), "done", (0.70, 0.72, 0.71), 1.0, 0.1, 100.0, 101.0),
    Record(1, Configuration("lightgbm", {"depth": 3}), "done", (0.80, 0.81, 0.83), 6.0, 1.0, 100.0, 106.0),
    Record(2, Configuration("lightgbm", {"depth": 9}), "pruned", (0.7,), 2.0, 1.0, 101.0, 103.0),
    Record(3, Configuration("lightgbm", {"depth": 5}), "done", (0.79, 0.80, 0.82), 6.0, 1.0, 103.0, 109.0),
    Record(4, Configuration("svm", {}), "failed", started=109.0, ended=110.0, fit_seconds=1.0, reason="<script>"),
]
OOF = OutOfFold(np.arange(3), np.arange(3), np.zeros(3))
SCORES = (0.82, 0.83, 0.84)


def result(
    weights: dict[int, float], scores: tuple[float, ...], calibration: Calibration | None = None
) -> SearchResult:
    members = tuple(Member(RECORDS[number], weight) for number, weight in weights.items())
    return SearchResult(members, True, calibration or Calibration(), scores, Path("x"), OOF, RECORDS, 12.0)


def test_a_lead_has_the_interval_of_folds_that_share_rows() -> None:
    found = lead((0.8, 0.81, 0.83), (0.7, 0.72, 0.71), True)
    differences = np.array([0.1, 0.09, 0.12])
    reach = 4.302653 * np.sqrt((1 / 3 + 1 / 2) * differences.var(ddof=1))  # t of 2 degrees; 3 folds, two fit one held
    assert found.mean == pytest.approx(differences.mean())
    assert (found.low, found.high) == (pytest.approx(found.mean - reach), pytest.approx(found.mean + reach))
    assert found.sure
    turned = lead((0.8, 0.81, 0.83), (0.7, 0.72, 0.71), False)
    assert turned.mean == pytest.approx(-found.mean) and not turned.sure
    assert lead((0.8,), (0.7,), True).low is None


def test_the_lead_of_equals_is_seldom_called_sure() -> None:
    """Ten rounds of the same model on folds that share rows: without the correction one in four would be called sure."""
    rng, sure, rounds, rows, folds = np.random.default_rng(0), 0, 600, 100, 5
    for _ in range(rounds):
        x, y = rng.normal(size=(2, rows)), rng.normal(size=rows)
        held = np.array_split(rng.permutation(rows), folds)
        losses = []
        for feature in x:  # two regressions on noise
            slopes = [(np.delete(feature, h) @ np.delete(y, h)) / (np.delete(feature, h) ** 2).sum() for h in held]
            losses.append([float(((y[h] - b * feature[h]) ** 2).mean()) for b, h in zip(slopes, held, strict=True)])
        sure += lead(*losses, greater_is_better=False).sure
    assert sure / rounds < 0.025 + 0.015


def test_it_says_what_an_ensemble_is_made_of_and_against_what_it_won() -> None:
    made, against, singles, calibrated = reasons(
        result({1: 0.6, 0: 0.4}, SCORES, Calibration(temperature=1.3)), "roc_auc", True
    )
    assert "2 trials: lightgbm 1 (60%), linear 0 (40%)" in made and "over 3 folds" in made
    assert "lightgbm 1" in against and "better by 0.0167 roc_auc" in against and "flatters" in against
    assert "another family is linear 0 (0.71)" in singles and "more than the chance of the folds" in singles
    assert "temperature of 1.3" in calibrated


def test_it_says_that_trials_are_stacked_and_what_that_was_decided_by() -> None:
    plain = result({1: 0.6, 0: 0.4}, SCORES)
    verdict = Verdict(2, Stack((1.2, 0.8), (0.0, -0.35)), "", 3, 0.84, 0.83, 0.01, 0.004)
    found = replace(plain, verdict=verdict)
    made, decided, *_ = reasons(found, "roc_auc", True)
    assert made.startswith(
        "The model is stacked: a second model answers over 2 trials: lightgbm 1 (60%), linear 0 (40%)"
    )
    assert "count 2 times in sum, and from -0.35 to 0 is added" in made
    assert decided == verdict.told("roc_auc") and "0.84, that of the weighted mean 0.83" in decided
    assert found.algorithm == "ensemble" and found.parameters["stack"] == {
        "weights": [1.2, 0.8],
        "biases": [0.0, -0.35],
    }
    assert [one.family for one in configurations("ensemble", found.parameters)] == ["lightgbm", "linear"]
    values = replace(plain, verdict=replace(verdict, stack=Stack((1.2, 0.8), (7.5,))))
    assert "Their values count 2 times in sum, and 7.5 is added." in reasons(values, "rmse", False)[0]
    refused = replace(plain, verdict=replace(verdict, stack=None, gain=0.001))
    made, decided, *_ = reasons(refused, "roc_auc", True)
    assert "a weighted mean of 2 trials" in made and "was refused" in decided and "stack" not in refused.parameters


def test_it_says_when_a_lead_may_be_chance() -> None:
    close = Record(5, Configuration("linear", {}), "done", (0.85, 0.80, 0.75), 1.0, 0.1, 100.0, 101.0)
    found = result({1: 1.0}, RECORDS[1].scores)
    records = [RECORDS[1], close]
    told = reasons(
        SearchResult(found.members, True, Calibration(), found.scores, Path("x"), OOF, records, 1.0), "r2", True
    )
    assert told[0].startswith("The model is a single trial, lightgbm 1")
    assert "may be the chance of the folds" in told[1]


def test_time_is_told_by_family_and_as_a_whole() -> None:
    lightgbm, linear, svm = by_family(RECORDS, {1: 0.6, 3: 0.1, 0: 0.3}, True)
    assert (lightgbm.family, lightgbm.trials, lightgbm.done, lightgbm.seconds) == ("lightgbm", 3, 2, 14.0)
    assert lightgbm.best is RECORDS[1] and lightgbm.weight == pytest.approx(0.7)
    assert lightgbm.share + linear.share + svm.share == pytest.approx(1.0)
    assert svm.failed == 1 and svm.best is None
    use = dict(use_of_budget(RECORDS, 15.0, 12.0, 2))
    assert use["used"] == "12.0 s (80%)" and use["seconds of fits"] == "16.0 s, 2 at a time: 80% of the places' time"
    assert use["start, choice and final model"] == "2.0 s"
    assert use_of_budget([], 15.0, 1.0, 2)


def test_the_page_names_generated_features_and_columns_that_were_left_out(tmp_path: Path) -> None:
    made = Configuration("linear", {}, (("ratio", "income", "debt"),), ("noise <1>",))
    record = Record(0, made, "done", (0.7, 0.8), 1.0, 0.1, 100.0, 101.0)
    found = SearchResult((Member(record, 1.0),), True, Calibration(), (0.7, 0.8), Path("x"), OOF, [record], 1.0)
    html = search_report("t", found, "roc_auc", True, 15.0, 2, {}, [], tmp_path)
    assert "income / debt" in html and "noise &lt;1&gt;" in html and "Every column is a feature" in html


def test_the_page_needs_nothing_beside_it_and_escapes_what_it_is_told(tmp_path: Path) -> None:
    write_plots(tmp_path, RECORDS, "roc_auc", True)
    found = result({1: 0.6, 0: 0.4}, SCORES)
    dropped = {"row <id>": "numbers the rows"}
    html = search_report("churn <b>", found, "roc_auc", True, 15.0, 2, dropped, ["age: '?' read as missing"], tmp_path)
    assert "<script>" not in html and "&lt;script&gt;" in html and "churn &lt;b&gt;" in html
    assert "row &lt;id&gt;" in html and "read as missing" in html and "60%" in html
    assert html.count("data:image/png;base64,") == 2
    assert not re.search(r'(src|href)="(?!data:)', html)
    longer = extended(html, [heading("Held-out rows")])
    assert longer.index("Held-out rows") > longer.index("numbers the rows") and longer.endswith("</html>\n")
    assert extended(page("t", "l", ["a"]), ["b"]).count("<!-- end of sections -->") == 1


def bench(ordered: bool = False, rows: int = 400) -> Bench:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 20)), columns=[f"x{i}" for i in range(20)])
    fields = tuple(Field(name=name, type="number") for name in frame.columns)
    target = (frame.sum(axis=1) + rng.normal(scale=2, size=rows) > 0).astype(int).to_numpy()
    prepared = Prepared("binary", fields, ("no", "yes"), frame, target, frame[:5], target[:5], ordered=ordered)
    return Bench(prepared, Features(), metric("roc_auc"), 4, 0)


def test_a_learning_curve_rises_with_the_rows(tmp_path: Path) -> None:
    made = bench()
    points = learning_curve(made, Configuration("linear", find_family("linear").defaults("binary")), 1, 60.0)
    assert [point.rows for point in points] == [30, 75, 150, 300]
    assert all(len(point.scores) == 3 for point in points)
    assert np.mean(points[-1].scores) > np.mean(points[0].scores) + 0.05
    draw_learning_curve(tmp_path / "made" / PICTURE, points, "roc_auc")
    assert (tmp_path / "made" / PICTURE).stat().st_size > 5000
    draw_learning_curve(tmp_path / "one.png", points[:1], "roc_auc")
    assert not (tmp_path / "one.png").exists()


def test_a_learning_curve_keeps_its_time_and_takes_the_latest_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = bench(ordered=True), []

    def slow(part: Bench, configuration: Configuration, fold: int, *conditions: Any) -> FoldResult:
        seen.append(part.folds[fold][0])
        time.sleep(0.2)
        return FoldResult(0.5, np.zeros(1), None, None, None, 0.0, 0.0)

    monkeypatch.setattr(Bench, "score", slow)
    last = made.folds[0][0][-1]
    began = time.monotonic()
    points = learning_curve(made, Configuration("linear", {}), 1, 0.9)
    assert time.monotonic() - began < 10 and len(seen) <= 4
    assert points and len(points) < 4
    assert seen[0][-1] == last and np.array_equal(seen[0], np.arange(last + 1 - len(seen[0]), last + 1))


def test_a_learning_curve_leaves_out_shares_without_a_rare_class() -> None:
    made = bench()
    made.prepared.train_target[:] = np.arange(400) % 80 == 0  # five rows, one or two of each fold held
    made = Bench(made.prepared, Features(), metric("log_loss"), 4, 0)
    points = learning_curve(made, Configuration("linear", find_family("linear").defaults("binary")), 1, 60.0)
    assert points[-1].rows == 300 and len(points) < 4


def test_a_learning_curve_ends_where_a_fit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*told: Any) -> FoldResult:
        raise FactoryError("not finite")

    monkeypatch.setattr(Bench, "score", failing)
    assert learning_curve(bench(), Configuration("linear", {}), 1, 60.0) == []
