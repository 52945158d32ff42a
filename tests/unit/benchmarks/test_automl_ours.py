"""A cell of ours, end to end: split, process, search, package, answers, score."""

from __future__ import annotations

import pytest

from benchmarks.automl import __main__ as command
from benchmarks.automl.datasets import DATASETS
from benchmarks.automl.scoring import REPLICATES
from benchmarks.automl.systems import SYSTEMS


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bound"), [("wine", 0.5), ("diabetes", 65.0)])
def test_a_cell_of_ours(name: str, bound: float) -> None:
    kept = {"version": "git.x", "versions": {}, "machine": {}}
    cell = command.one(DATASETS[name], SYSTEMS["ours"], 5.0, 0, kept)
    assert cell.failure == "" and cell.score is not None
    assert 0 < cell.score < bound  # guessing has a log loss of 1.09, and an RMSE of 70.5
    assert len(cell.replicates) == REPLICATES
    assert cell.fit_seconds > 1 and cell.package_seconds > 0 and cell.one_row_ms < 50
    assert cell.facts["trials"] >= 1 and cell.facts["runtime"]
    assert cell.peak_mib > 100
