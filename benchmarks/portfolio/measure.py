"""Try configurations of every family on every table: one line a cell, kept as it is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import commit
from benchmarks.portfolio.datasets import TABLES, Table
from include.automl.bench import Bench, Configuration
from include.automl.families import Params, find_family
from include.evaluation.metrics import metric
from include.features.preparation import prepare_rows
from include.specs import FactoryError, ModelSpec
from include.specs.training import FAMILIES, Task

CELLS = Path(__file__).parent / "results" / "cells.jsonl"
FOLDS, SCORED, SECONDS = 4, 2, 10.0
"""Folds, how many of them are fitted, and how long a fit may take where the family can stop."""


@dataclass(frozen=True)
class Cell:
    """One configuration on one table.

    Attributes:
        score: mean over the folds, greater is better; None where a fit failed.
        seconds: mean of a fit, on one thread.
    """

    table: str
    family: str
    params: Params
    score: float | None
    seconds: float
    commit: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Table, family and hyperparameters."""
        return self.table, self.family, json.dumps(self.params, sort_keys=True)


def read() -> list[Cell]:
    """Return the cells that there are."""
    if not CELLS.exists():
        return []
    return [Cell(**json.loads(line)) for line in CELLS.read_text(encoding="utf-8").splitlines()]


def measure(draws: int, names: Sequence[str], families: Sequence[str]) -> None:
    """Measure what is missing of ``draws`` random configurations of each family beside its portfolio.

    The tables take turns: what is measured when it is interrupted says something of all of them.
    """
    there = {cell.key for cell in read()}
    for turn in range(-1, draws):
        for name in names:
            bench = None
            for family in families:
                for params in _candidates(family, TABLES[name].task, turn):
                    cell = Cell(name, family, params, None, 0.0, commit("include/automl", "include/features"))
                    if cell.key in there:
                        continue
                    bench = bench or _bench(TABLES[name])
                    _keep(_measured(bench, cell))


def _candidates(family: str, task: Task, turn: int) -> Iterator[Params]:
    """Give a family's portfolio (turn -1), or its draw of a turn: the same one for every table of a task."""
    kind = find_family(family)
    if task not in kind.tasks:
        return
    if turn < 0:
        yield from kind.portfolio(task)
        return
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=turn))
    yield kind.sample(study.ask(), task)


def _bench(table: Table) -> Bench:
    spec = ModelSpec.model_validate(
        {
            "name": "bench",
            "owner": "benchmarks",
            "data": {"source": {"path": "table.csv"}},
            "problem": {"type": table.task, "target": table.target, "metric": table.metric},
        }
    )
    prepared = prepare_rows(table.load(), spec, ordered=False).prepared
    return Bench(prepared, spec.features, metric(spec.metric), FOLDS, seed=0)


def _measured(bench: Bench, cell: Cell) -> Cell:
    scores, seconds = [], []
    try:
        for fold in range(min(SCORED, len(bench.folds))):
            found = bench.score(Configuration(cell.family, cell.params), fold, 1, SECONDS)
            scores.append(found.score if bench.objective.greater_is_better else -found.score)
            seconds.append(found.fit_seconds)
    except (FactoryError, ValueError, MemoryError) as error:
        print(f"{cell.table} {cell.family}: {error}", flush=True)
        return cell
    measured: dict[str, Any] = {"score": sum(scores) / len(scores), "seconds": round(sum(seconds) / len(seconds), 3)}
    return Cell(**{**asdict(cell), **measured})


def _keep(cell: Cell) -> None:
    CELLS.parent.mkdir(exist_ok=True)
    with CELLS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(cell)) + "\n")


def everything() -> tuple[list[str], list[str]]:
    """Return the names of all tables and all families."""
    return list(TABLES), list(FAMILIES)
