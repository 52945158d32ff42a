"""Try configurations on many tables, and say which few of each family do best together: ``make bench-portfolio``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.portfolio.choose import curve, greedy, left_out_curve, random_curve, regrets, scale
from benchmarks.portfolio.datasets import TABLES
from benchmarks.portfolio.measure import Cell, everything, measure, read
from include.automl.families import find_family
from include.specs.training import Task

TASKS_APART: dict[Task, str] = {"binary": "classification", "regression": "regression"}
"""Tasks whose configurations are chosen apart, by one of each kind."""
MOST = 5
"""Configurations of a family that are named."""


def main() -> None:
    """Measure what is missing, then report."""
    tables, families = everything()
    parser = argparse.ArgumentParser(prog="make bench-portfolio", description=__doc__)
    parser.add_argument("--draws", type=int, default=12, help="random configurations of each family")
    parser.add_argument("--tables", nargs="+", default=tables, choices=tables, metavar="TABLE")
    parser.add_argument("--families", nargs="+", default=families, choices=families, metavar="FAMILY")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if not options.report:
        measure(options.draws, options.tables, options.families)
    cells = [cell for cell in read() if cell.table in options.tables]
    for task in TASKS_APART:
        of_task = [cell for cell in cells if (TABLES[cell.table].task == "regression") == (task == "regression")]
        for family in options.families:
            _report(family, task, of_task)
        _report_order(options.families, task, of_task)


def _report(family: str, task: Task, cells: list[Cell]) -> None:
    """Print the regrets of the shipped portfolio, of a chosen one and of chance, and the chosen configurations."""
    own = [cell for cell in cells if cell.family == family]
    names, tables, found = regrets(own, scale(cells))
    if not len(found) or len(tables) < 2:
        return
    shipped = [names.index(name) for name in _shipped(family, task) if name in names]
    chosen = greedy(found, MOST)
    print(f"\n{family}, {TASKS_APART[task]}: {len(found)} configurations on {len(tables)} tables")
    for title, values in (
        ("shipped", curve(found, shipped)),
        ("chosen", curve(found, chosen)),
        ("chosen by other tables", left_out_curve(found, MOST)),
        ("random", random_curve(found, MOST)),
    ):
        print(f"  regret of the best so far, {title:26}" + " ".join(f"{value:6.3f}" for value in values))
    for row in chosen:
        taken = [cell.seconds for cell in own if json.dumps(cell.params, sort_keys=True) == names[row]]
        print(f"  {'shipped' if row in shipped else 'drawn':8} {max(taken):6.1f} s at most  {names[row]}")


def _report_order(families: Sequence[str], task: Task, cells: list[Cell]) -> None:
    """Print in which order the first configurations of the families lower the regret of the best so far."""
    between, rows, known = scale(cells), [], []
    for family in families:
        names, _, found = regrets([cell for cell in cells if cell.family == family], between)
        if (first := next(_shipped(family, task), None)) in names:
            known.append(family)
            rows.append(found[names.index(first)])
    if not rows:
        return
    found = np.array(rows)
    order = greedy(found, len(known))
    print(f"\nfirst configurations, {TASKS_APART[task]}: the next one that helps most; alone, and the best so far")
    for row, value in zip(order, curve(found, order), strict=True):
        print(f"  {known[row]:14} {found[row].mean():6.3f} {value:6.3f}")


def _shipped(family: str, task: Task) -> Iterator[str]:
    """Give the family's own portfolio of today, as JSON."""
    kind = find_family(family)
    return (json.dumps(params, sort_keys=True) for params in (kind.portfolio(task) if task in kind.tasks else ()))


if __name__ == "__main__":
    main()
