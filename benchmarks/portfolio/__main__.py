"""Try configurations on many tables, and say which few of each family do best together: ``make bench-portfolio``."""

from __future__ import annotations

import argparse

from benchmarks.portfolio.choose import curve, greedy, left_out_curve, random_curve, regrets, scale
from benchmarks.portfolio.datasets import TABLES
from benchmarks.portfolio.measure import Cell, everything, measure, read

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
    for family in options.families:
        for task in ("classification", "regression"):
            of_task = [cell for cell in cells if (TABLES[cell.table].task == "regression") == (task == "regression")]
            _report(family, task, of_task)


def _report(family: str, task: str, cells: list[Cell]) -> None:
    """Print the regrets of the shipped portfolio, of a chosen one and of chance, and the chosen configurations."""
    own = [cell for cell in cells if cell.family == family]
    names, tables, found = regrets(own, scale(cells))
    if not len(found) or len(tables) < 2:
        return
    places = {cell.key[2]: cell.shipped for cell in own if cell.shipped is not None}
    shipped = sorted((place, names.index(name)) for name, place in places.items() if name in names)
    chosen = greedy(found, MOST)
    print(f"\n{family}, {task}: {len(found)} configurations on {len(tables)} tables")
    for title, values in (
        ("shipped", curve(found, [row for _, row in shipped])),
        ("chosen", curve(found, chosen)),
        ("chosen by other tables", left_out_curve(found, MOST)),
        ("random", random_curve(found, MOST)),
    ):
        print(f"  regret of the best so far, {title:26}" + " ".join(f"{value:6.3f}" for value in values))
    for row in chosen:
        taken = [cell.seconds for cell in own if cell.key[2] == names[row]]
        print(f"  {'shipped' if names[row] in places else 'drawn':8} {max(taken):6.1f} s at most  {names[row]}")


if __name__ == "__main__":
    main()
