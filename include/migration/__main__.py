"""Move the embedded factory to the real stores: ``python -m include.migration --to FILE [--dry-run]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from include.migration.part import Count
from include.specs import FactoryError, load_platform


def main(arguments: list[str] | None = None) -> int:
    """Move, or say what would move; return 0 on success, 1 with a message on failure."""
    parser = argparse.ArgumentParser(prog="python -m include.migration", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="file of the target's settings (docs/stores.md)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be moved, and change nothing")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    try:
        from include.migration.move import Move
        from include.migration.target import read_target

        source = load_platform()
        move = Move(source, read_target(options.to))
        found = move.dry_run() if options.dry_run else move.run(lambda text: console.print(text, highlight=False))
    except FactoryError as error:
        console.print(f"[bold red]failed:[/] {error}", highlight=False)
        return 1
    if found:
        console.print(_table(found))
    if found and not options.dry_run:
        console.print("moved; start everything with the new settings, and keep the old folder until you are content")
    return 0


def _table(found: list[tuple[str, Count]]) -> Table:
    table = Table("part", "what", "source", "target", "same")
    for title, count in found:
        table.add_row(title, count.what, str(count.source), str(count.target), "yes" if count.same else "no")
    return table


if __name__ == "__main__":
    sys.exit(main())
