"""The leaderboard ranks what is done, keeps what is not, and escapes what a trial says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from include.automl.bench import Configuration
from include.automl.ensemble.calibration import Calibration
from include.automl.ensemble.combination import Stack
from include.automl.ensemble.guard import Verdict
from include.automl.leaderboard import ranked, write_leaderboard, write_plots
from include.automl.record import Record
from include.automl.result import Member, OutOfFold, SearchResult

RECORDS = [
    Record(0, Configuration("linear", {"strength": 1.0}), "done", (0.7, 0.8), 0.2, 0.1, 10.0, 11.0),
    Record(1, Configuration("xgboost", {"depth": 3}), "done", (0.9, 0.8), 2.0, 1.0, 10.0, 13.0),
    Record(2, Configuration("xgboost", {"depth": 9}), "pruned", (0.95,), 1.0, 1.0, 11.0, 12.0),
    Record(3, Configuration("linear", {}), "failed", reason="<script>", started=13.0, ended=13.5),
]


def test_scores_are_the_mean_and_the_deviation_of_the_folds() -> None:
    assert RECORDS[1].mean == pytest.approx(0.85)
    assert RECORDS[1].std == pytest.approx(np.std([0.9, 0.8], ddof=1))
    assert RECORDS[2].std is None and RECORDS[3].mean is None


@pytest.mark.parametrize(("greater_is_better", "order"), [(True, [1, 0, 2, 3]), (False, [0, 1, 2, 3])])
def test_a_pruned_trial_never_ranks_before_one_that_is_done(greater_is_better: bool, order: list[int]) -> None:
    assert [record.number for record in ranked(RECORDS, greater_is_better)] == order


def test_it_is_written_for_people_and_programs(tmp_path: Path) -> None:
    oof = OutOfFold(np.arange(2), np.zeros(2), np.zeros(2))
    result = SearchResult(
        (Member(RECORDS[1], 1.0),), True, Calibration(), RECORDS[1].scores, tmp_path / "model.skops", oof, RECORDS, 3.5
    )
    write_leaderboard(tmp_path, result, "churn <b>", "roc_auc", True)
    lines = json.loads((tmp_path / "leaderboard.json").read_text())
    assert [(line["trial"], line["rank"], line["chosen"]) for line in lines] == [
        (1, 1, True), (0, 2, False), (2, None, False), (3, None, False),
    ]  # fmt: skip
    html = (tmp_path / "leaderboard.html").read_text()
    assert "<script>" not in html and "&lt;script&gt;" in html and "churn &lt;b&gt;" in html
    assert "xgboost (chosen)" in html and "4 trials, 2 of them to the end, in 3.5 s" in html


@pytest.mark.parametrize("records", [RECORDS, RECORDS[2:]])
def test_plots_are_drawn_whatever_there_is(tmp_path: Path, records: list[Record]) -> None:
    write_plots(tmp_path / "plots", records, "roc_auc", True)
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {"leaderboard.png", "optimisation_history.png"}


def test_it_marks_the_trials_of_a_stack(tmp_path: Path) -> None:
    oof = OutOfFold(np.arange(2), np.zeros(2), np.zeros(2))
    members = (Member(RECORDS[1], 0.75), Member(RECORDS[0], 0.25))
    verdict = Verdict(2, Stack((1.2, 0.4), (0.0, 0.3)))
    result = SearchResult(
        members, True, Calibration(), RECORDS[1].scores, tmp_path / "m", oof, RECORDS, 3.5, verdict=verdict
    )
    write_leaderboard(tmp_path, result, "churn", "roc_auc", True)
    lines = json.loads((tmp_path / "leaderboard.json").read_text())
    assert [(line["trial"], line["weight"], line["stacked"]) for line in lines] == [
        (1, 0.75, True), (0, 0.25, True), (2, None, False), (3, None, False),
    ]  # fmt: skip
    html = (tmp_path / "leaderboard.html").read_text()
    assert html.count("(stacked)") == 2 and "(chosen)" not in html and "shares of those of a second model" in html
