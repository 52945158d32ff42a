"""Cells are kept once, are evidence only from a quiet machine and committed code, and are not run again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.automl import __main__ as command
from benchmarks.automl.cells import Cell, Table
from benchmarks.automl.datasets import DATASETS
from benchmarks.automl.systems import System

CELL = Cell(
    dataset="wine", system="flaml", budget=60.0, seed=0, version="2.7.0", task="multiclass", metric="log_loss",
    date="2026-11-21", machine={"cores": "2"}, versions={"flaml": "2.7.0"}, others=0.02, load=0.4, score=0.05,
    fit_seconds=61.0, replicates=[0.04, 0.06],
)  # fmt: skip


def test_the_last_cell_of_a_key_counts(tmp_path: Path) -> None:
    table = Table(tmp_path / "results" / "cells.jsonl")
    assert table.cells() == {}
    for cell in (CELL, replace(CELL, seed=1), replace(CELL, score=0.07)):
        table.keep(cell)
    assert table.cells() == {CELL.key: replace(CELL, score=0.07), ("wine", "flaml", 60.0, 1): replace(CELL, seed=1)}
    assert len(table.file.read_text().splitlines()) == 2
    assert [file.name for file in table.file.parent.iterdir()] == ["cells.jsonl"]


@pytest.mark.parametrize(
    ("known", "evidence"),
    [({}, True), ({"others": 0.5}, False), ({"version": "git.abc+changes"}, False), ({"score": None}, True)],
)
def test_what_is_evidence(known: dict[str, Any], evidence: bool) -> None:
    assert replace(CELL, **known).evidence is evidence


@pytest.mark.parametrize(("seconds", "overrun"), [(65.9, False), (66.1, True), (None, False)])
def test_a_tenth_over_the_budget_is_allowed(seconds: float | None, overrun: bool) -> None:
    assert replace(CELL, fit_seconds=seconds).overrun is overrun


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the cells that were run; each says that it was fitted beside ``others`` busy cores."""
    ran: list[str] = []

    def one(dataset: Any, system: System, budget: float, seed: int, kept: dict[str, Any]) -> Cell:
        ran.append(f"{dataset.name} {system.name} {budget:g} {seed}")
        others = 1.0 if dataset.name == "digits" else 0.0
        given = {"dataset": dataset.name, "system": system.name, "budget": budget, "seed": seed, "others": others}
        return replace(CELL, **given, **kept, one_row_ms=1.0)

    monkeypatch.setattr(command, "one", one)
    monkeypatch.setattr(command, "TABLE", Table(tmp_path / "cells.jsonl"))
    monkeypatch.setattr(command, "ASIDE", Table(tmp_path / "aside.jsonl"))
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(System, "versions", lambda system: dict.fromkeys(system.packages, "2.7.0"))
    monkeypatch.setattr(System, "version", lambda system: "2.7.0")
    return ran


WANTED = ("--systems", "flaml", "ours", "--datasets", "wine", "digits", "--seeds", "0", "--budgets", "10")


def test_a_cell_that_the_table_has_is_not_run_again(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.main(WANTED) == 0
    assert runs == ["wine flaml 10 0", "wine ours 10 0", "digits flaml 10 0", "digits ours 10 0"]
    assert {key[0] for key in command.TABLE.cells()} == {"wine"}
    assert {key[0] for key in command.ASIDE.cells()} == {"digits"}  # the machine was not quiet
    runs.clear()
    command.main(WANTED)
    assert runs == ["digits flaml 10 0", "digits ours 10 0"]
    runs.clear()
    command.main([*WANTED, "--again"])
    assert len(runs) == 4
    runs.clear()
    monkeypatch.setattr(System, "version", lambda system: "git.new")
    command.main(WANTED)
    assert len(runs) == 4


def test_the_report_is_of_the_table_alone(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(WANTED)
    command.main(["--report"])
    assert json.loads((tmp_path / "automl.json").read_text())["cells"] == 2
    assert "wine" in (tmp_path / "automl.md").read_text() and "digits" not in (tmp_path / "automl.md").read_text()
    capsys.readouterr()
    command.main(["--report", "--aside"])
    assert "digits" in capsys.readouterr().out and "digits" not in (tmp_path / "automl.md").read_text()


def test_splits_are_stratified_and_the_same_again() -> None:
    train, test = DATASETS["wine"].split(0)
    shares = train["target"].value_counts(normalize=True) - test["target"].value_counts(normalize=True)
    assert shares.abs().max() < 0.02 and abs(len(test) / 178 - 0.25) < 0.01
    assert DATASETS["wine"].split(0)[1].equals(test) and not DATASETS["wine"].split(1)[1].equals(test)


def test_options_name_what_there_is() -> None:
    with pytest.raises(SystemExit):
        command.main(["--datasets", "unknown"])
