"""Which few configurations of a family do best together: greedily, by their regret over the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.portfolio.measure import Cell

Regrets = np.ndarray[tuple[int, int], np.dtype[np.float64]]
"""Shape (configurations, tables); in [0, 1]: 0 is the best score that any family had on the table, 1 the median of all
configurations or worse. Failures are 1."""


def scale(cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    """Return best and median score by table; tables on which every configuration scored the same are left out."""
    scores: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.score is not None:
            scores[cell.table].append(cell.score)
    found = {table: (max(values), float(np.median(values))) for table, values in scores.items()}
    return {table: (best, median) for table, (best, median) in found.items() if best > median}


def regrets(cells: Sequence[Cell], between: Mapping[str, tuple[float, float]]) -> tuple[list[str], list[str], Regrets]:
    """Return the configurations (as JSON) that were tried on every table of theirs, the tables, and their regrets."""
    tables = sorted({cell.table for cell in cells} & set(between))
    known = {cell.key[1:]: cell for cell in cells}
    configurations = [key for _, key in known]
    found = np.full((len(configurations), len(tables)), np.nan)
    for cell in cells:
        if cell.table not in between:
            continue
        best, median = between[cell.table]
        regret = 1.0 if cell.score is None else min(1.0, (best - cell.score) / (best - median))
        found[configurations.index(cell.key[2]), tables.index(cell.table)] = regret
    whole = ~np.isnan(found).any(axis=1)
    return [one for one, kept in zip(configurations, whole, strict=True) if kept], tables, found[whole]


def greedy(found: Regrets, count: int) -> list[int]:
    """Return ``count`` rows in the order in which each lowers the mean of the tables' least regret most.

    Xu, Hoos and Leyton-Brown (2010) and Feurer et al. (2022, auto-sklearn 2.0) build portfolios this way.
    """
    chosen: list[int] = []
    least = np.ones(found.shape[1])
    for _ in range(min(count, len(found))):
        gains = np.minimum(found, least).mean(axis=1)
        gains[chosen] = np.inf
        chosen.append(int(np.argmin(gains)))
        least = np.minimum(least, found[chosen[-1]])
    return chosen


def curve(found: Regrets, order: Sequence[int]) -> list[float]:
    """Return the mean regret of the best so far after each configuration of ``order``."""
    return [float(found[list(order[: k + 1])].min(axis=0).mean()) for k in range(len(order))]


def left_out_curve(found: Regrets, count: int, seed: int = 0, repeats: int = 100) -> list[float]:
    """Return the mean curve of greedy portfolios that half of the tables chose, on the other half.

    Leaving out one table at a time would flatter: the choice hardly ever depends on a single one.
    """
    rng, tables, curves = np.random.default_rng(seed), found.shape[1], []
    for _ in range(repeats):
        chooses = np.isin(np.arange(tables), rng.permutation(tables)[: tables // 2])
        curves.append(curve(found[:, ~chooses], greedy(found[:, chooses], count)))
    return [float(value) for value in np.mean(curves, axis=0)]


def random_curve(found: Regrets, count: int, seed: int = 0, repeats: int = 200) -> list[float]:
    """Return the mean curve of configurations in a random order."""
    rng = np.random.default_rng(seed)
    count = min(count, len(found))
    return [
        float(v) for v in np.mean([curve(found, rng.permutation(len(found))[:count]) for _ in range(repeats)], axis=0)
    ]
