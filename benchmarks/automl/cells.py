"""A cell of the table: one fit of one system on one split of a data set; and the files that cells are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

QUIET = 0.15
"""Cores that all else on the machine may keep busy during a fit; above it the cell is no evidence."""
CHANGED = "+changes"
OVERRUN = 1.1
"""A fit that takes longer than so many times its budget has overrun it."""

Key = tuple[str, str, float, int]
"""Data set, system, budget, seed."""


@dataclass(frozen=True)
class Cell:
    """What one fit gave.

    Attributes:
        version: of the system: a release, or a commit of ours.
        score: the metric on the test rows; None where the system failed.
        replicates: the metric on resamples of the test rows, the same for every system.
        failure: why there is no score.
        fit_seconds: wall clock from the table in memory to the fitted model, seen from outside; ours with preparation.
        package_seconds: what making it ready to serve took after that.
        predict_seconds: of all test rows at once, by what is served.
        one_row_ms: median of single rows, by what is served.
        peak_mib: of resident memory of all processes until the model was fitted.
        others: cores that all else on the machine kept busy meanwhile.
        load: load average before the fit.
        facts: what the system says of its model.
    """

    dataset: str
    system: str
    budget: float
    seed: int
    version: str
    task: str
    metric: str
    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    others: float
    load: float
    score: float | None = None
    failure: str = ""
    fit_seconds: float | None = None
    package_seconds: float | None = None
    predict_seconds: float | None = None
    one_row_ms: float | None = None
    peak_mib: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    replicates: list[float] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """What it is the cell of."""
        return self.dataset, self.system, self.budget, self.seed

    @property
    def quiet(self) -> bool:
        """Whether the machine was the system's own while it was fitted."""
        return self.others <= QUIET

    @property
    def evidence(self) -> bool:
        """Whether it may be kept in the table: from a quiet machine, and of code that a commit holds."""
        return self.quiet and not self.version.endswith(CHANGED)

    @property
    def overrun(self) -> bool:
        """Whether the fit took more than a tenth longer than its budget."""
        return self.fit_seconds is not None and self.fit_seconds > OVERRUN * self.budget


@dataclass(frozen=True)
class Table:
    """Cells in a file, one JSON object a line; the last one of a key counts."""

    file: Path

    def cells(self) -> dict[Key, Cell]:
        """Return the cell of each key."""
        if not self.file.is_file():
            return {}
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return {cell.key: cell for cell in (Cell(**json.loads(line)) for line in lines if line)}

    def keep(self, cell: Cell) -> None:
        """Put ``cell`` in the place of what the file has under its key; all at once, so that a kill loses nothing."""
        self._write([*(kept for key, kept in self.cells().items() if key != cell.key), cell])

    def _write(self, cells: Iterable[Cell]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(asdict(cell)) for cell in sorted(cells, key=lambda cell: cell.key)]
        temporary = self.file.with_suffix(".new")
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        temporary.replace(self.file)
