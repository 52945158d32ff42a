"""Our search beside FLAML and AutoGluon: ``make bench-automl``; see docs/benchmarks-automl.md.

One cell is one fit of one system, alone on the machine, on one split of a data set. A cell that the table has is not
run again, so that a run of hours can be interrupted and goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from benchmarks.automl.cells import Cell, Table
from benchmarks.automl.datasets import DATASETS
from benchmarks.automl.measure import one
from benchmarks.automl.report import markdown
from benchmarks.automl.summary import held, summarise
from benchmarks.automl.systems import SYSTEMS
from benchmarks.machine import machine
from include.specs import ROOT, FactoryError

RESULTS = Path(__file__).with_name("results")
TABLE = Table(RESULTS / "cells.jsonl")
ASIDE = Table(ROOT / ".factory" / "bench-automl" / "cells.jsonl")
"""Cells that are no evidence: from a machine that was not quiet, or of code that no commit holds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the cells that are missing, or write the report; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="make bench-automl", description=__doc__)
    _choices(parser, "--systems", list(SYSTEMS))
    _choices(parser, "--datasets", list(DATASETS), [name for name, data in DATASETS.items() if not data.large])
    parser.add_argument("--budgets", type=float, nargs="+", default=[60.0], help="seconds of a fit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the split and of the systems")
    parser.add_argument("--again", action="store_true", help="run cells that the table has already")
    parser.add_argument("--report", action="store_true", help="run nothing: write results/automl.{json,md}")
    parser.add_argument("--aside", action="store_true", help="with --report: of cells that are no evidence; print it")
    options = parser.parse_args(arguments)
    if options.report:
        return _report(aside=options.aside)
    try:
        for cell in missing(options):
            (TABLE if cell.evidence else ASIDE).keep(cell)
            print(_line(cell), flush=True)
    except FactoryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def missing(options: argparse.Namespace) -> Iterator[Cell]:
    """Run the wanted cells that the table does not have; all systems of a split one after the other."""
    facts, installed = machine(), {name: SYSTEMS[name].versions() for name in options.systems}
    wanted = product(options.budgets, options.seeds, options.datasets, options.systems)
    for budget, seed, dataset, name in wanted:
        version = SYSTEMS[name].version()
        known = TABLE.cells().get((dataset, name, budget, seed))
        if known is None or known.version != version or options.again:
            kept = {"version": version, "versions": installed[name], "machine": facts}
            yield one(DATASETS[dataset], SYSTEMS[name], budget, seed, kept)


def _report(aside: bool) -> int:
    table = ASIDE if aside else TABLE
    found = summarise(list(table.cells().values()))
    text = markdown(found)
    print(text)
    if not aside:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "automl.md").write_text(text, encoding="utf-8")
        (RESULTS / "automl.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if held(found) else 1


def _line(cell: Cell) -> str:
    told = (
        cell.failure or f"{cell.metric} {cell.score:.5g}, fit {cell.fit_seconds:.1f} s, a row {cell.one_row_ms:.2f} ms"
    )
    remark = "" if cell.evidence else f" (no evidence: {cell.others:.2f} cores busy otherwise, {cell.version})"
    return f"{cell.dataset:18} {cell.system:16} {cell.budget:g} s, seed {cell.seed}: {told}{remark}"


def _choices(parser: argparse.ArgumentParser, name: str, known: list[str], usual: list[str] | None = None) -> None:
    told = ", ".join(known)
    parser.add_argument(name, nargs="+", choices=known, default=usual or known, metavar="NAME", help=told)


if __name__ == "__main__":
    sys.exit(main())
