"""From cells to what may be concluded: ranks, and win, tie or loss, each with its interval.

- *Ranks* (Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7): among the systems on
  one split, equal scores share their ranks; the mean over the seeds of a data set, then over the data sets.
- *Win, tie, loss*: a data set is won where the mean difference over its splits is larger than what the draw of the test
  rows does to it: the 95 % interval of a paired bootstrap of the test rows lies above 0 (Efron and Tibshirani 1993,
  chapter 8). The draw of the rows is the largest part of a benchmark's noise (Bouthillier et al. 2021, "Accounting for
  Variance in Machine Learning Benchmarks", MLSys); what a system's own chance does is averaged over the seeds only.
- Intervals over data sets come from a bootstrap of the data sets, with their seeds: they speak of other data sets.

A system that failed comes last, and loses against any that did not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.automl.cells import Cell
from include.evaluation.metrics import metric

Array = np.ndarray[Any, np.dtype[Any]]
RESAMPLES, CONFIDENCE = 2000, 0.95
Verdict = Literal["win", "tie", "loss"]
Split = tuple[str, int]
"""Data set and seed."""
Splits = Mapping[Split, Mapping[str, Cell]]
"""The cells of each split, by system; of one budget."""


@dataclass(frozen=True)
class Interval:
    """An estimate, and the bounds of its interval at `CONFIDENCE`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Ours against another system on one data set.

    Attributes:
        difference: mean over the splits, in the metric's own unit, positive where ours is better; None where one
            failed.
        low: lower bound of its interval.
        high: upper bound.
        verdict: of ours.
    """

    dataset: str
    verdict: Verdict
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def points(self) -> float:
        """1 for a win, a half for a tie."""
        return {"win": 1.0, "tie": 0.5, "loss": 0.0}[self.verdict]


def splits_of(cells: Sequence[Cell], budget: float) -> dict[Split, dict[str, Cell]]:
    """Return the cells of ``budget`` by split and system."""
    found: dict[Split, dict[str, Cell]] = defaultdict(dict)
    for cell in cells:
        if cell.budget == budget:
            found[cell.dataset, cell.seed][cell.system] = cell
    return dict(found)


def mean_ranks(splits: Splits, systems: Sequence[str], seed: int = 0) -> dict[str, Interval]:
    """Return the mean rank of each system, 1 being the best, over the splits that all of ``systems`` have cells of."""
    from scipy.stats import rankdata

    by_dataset: dict[str, list[Array]] = defaultdict(list)
    for (dataset, _), cells in splits.items():
        if all(system in cells for system in systems):
            by_dataset[dataset].append(rankdata([_loss(cells[system]) for system in systems]))
    if not by_dataset:
        return {}
    ranks = np.array([np.mean(found, axis=0) for found in by_dataset.values()])
    drawn = over_datasets(len(ranks), lambda chosen: ranks[chosen].mean(axis=1), seed)
    low, high = _bounds(drawn)
    means = ranks.mean(axis=0)
    return {name: Interval(float(means[i]), float(low[i]), float(high[i])) for i, name in enumerate(systems)}


def compare(splits: Splits, ours: str, other: str) -> list[Comparison]:
    """Return ours against ``other`` on each data set that both have cells of."""
    pairs: dict[str, list[tuple[Cell, Cell]]] = defaultdict(list)
    for (dataset, _), cells in splits.items():
        if ours in cells and other in cells:
            pairs[dataset].append((cells[ours], cells[other]))
    return [_compared(dataset, found) for dataset, found in pairs.items()]


def points(comparisons: Sequence[Comparison], seed: int = 0) -> Interval:
    """Return the share of data sets that are won, a tie counting half."""
    scored = np.array([comparison.points for comparison in comparisons])
    low, high = _bounds(over_datasets(len(scored), lambda chosen: scored[chosen].mean(axis=1), seed))
    return Interval(float(scored.mean()), float(low), float(high))


def ratio(splits: Splits, ours: str, other: str, number: Callable[[Cell], float | None], seed: int = 0) -> Interval:
    """Return the geometric mean over data sets of ``other``'s number by ours on the same split.

    Raises:
        ValueError: no split has both numbers.
    """
    by_dataset: dict[str, list[float]] = defaultdict(list)
    for (dataset, _), cells in splits.items():
        theirs, mine = (number(cells[name]) if name in cells else None for name in (other, ours))
        if theirs and mine:
            by_dataset[dataset].append(float(np.log(theirs / mine)))
    if not by_dataset:
        raise ValueError(f"no split has a cell of {ours} and of {other}")
    logs = np.array([np.mean(found) for found in by_dataset.values()])
    low, high = _bounds(over_datasets(len(logs), lambda chosen: logs[chosen].mean(axis=1), seed))
    return Interval(*(float(np.exp(value)) for value in (logs.mean(), low, high)))


def over_datasets(count: int, statistic: Callable[[Array], Array], seed: int) -> Array:
    """Return ``statistic`` of `RESAMPLES` draws of ``count`` data sets, each row one draw of their places."""
    return statistic(np.random.default_rng(seed).integers(count, size=(RESAMPLES, count)))


def _compared(dataset: str, pairs: Sequence[tuple[Cell, Cell]]) -> Comparison:
    failed = [sum(cell.score is None for cell in side) for side in zip(*pairs, strict=True)]
    if any(failed):
        verdict: Verdict = "tie" if failed[0] == failed[1] else "loss" if failed[0] > failed[1] else "win"
        return Comparison(dataset, verdict)
    difference = float(np.mean([_loss(other) - _loss(ours) for ours, other in pairs]))
    sign = 1.0 if metric(pairs[0][0].metric).greater_is_better else -1.0
    drawn = np.mean([sign * (np.array(a.replicates) - np.array(b.replicates)) for a, b in pairs], axis=0)
    low, high = map(float, _bounds(drawn))
    return Comparison(dataset, "win" if low > 0 else "loss" if high < 0 else "tie", difference, low, high)


def _loss(cell: Cell) -> float:
    """Return the score turned so that less is better; a failure is worse than anything."""
    if cell.score is None:
        return float("inf")
    return -cell.score if metric(cell.metric).greater_is_better else cell.score


def _bounds(drawn: Array) -> Array:
    tail = (1 - CONFIDENCE) / 2
    bounds: Array = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return bounds
