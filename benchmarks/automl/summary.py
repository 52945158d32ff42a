"""What a table of cells says, JSON-ready: per budget ranks, comparisons, scores and costs; more time; and the goals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.automl.cells import Cell
from benchmarks.automl.datasets import DATASETS
from benchmarks.automl.goals import goals
from benchmarks.automl.statistics import Comparison, Splits, compare, mean_ranks, points, ratio, splits_of
from benchmarks.automl.systems import OURS, SYSTEMS

Found = dict[str, Any]


def summarise(cells: Sequence[Cell]) -> Found:
    """Return what ``cells`` say, budget by budget."""
    versions = {name: sorted({cell.version for cell in cells if cell.system == name}) for name in SYSTEMS}
    packages = {cell.system: cell.versions for cell in cells}
    machines = Counter(", ".join(cell.machine.values()) for cell in cells)
    budgets = _budgets([cell for cell in cells if not DATASETS[cell.dataset].blind])
    return {
        "cells": len(cells),
        "others": max((cell.others for cell in cells), default=0.0),
        "dates": [min(cell.date for cell in cells), max(cell.date for cell in cells)] if cells else [],
        "machines": list(machines),
        "versions": {name: found for name, found in versions.items() if found},
        "packages": packages,
        "budgets": budgets,
        "blind": _budgets([cell for cell in cells if DATASETS[cell.dataset].blind]),
        "more_time": list(_more_time([cell for cell in cells if cell.system == OURS])),
        "goals": [asdict(goal) for goal in goals(budgets)],
    }


def held(found: Found) -> bool:
    """Tell whether no goal that could be judged was missed."""
    return all(goal["held"] for goal in found["goals"] if goal["value"] is not None)


def _budgets(cells: Sequence[Cell]) -> Found:
    return {f"{budget:g}": _budget(cells, budget) for budget in sorted({cell.budget for cell in cells})}


def _budget(cells: Sequence[Cell], budget: float) -> Found:
    splits = splits_of(cells, budget)
    systems = [name for name in SYSTEMS if any(name in found for found in splits.values())]
    ranks = mean_ranks(splits, systems) if len(systems) > 1 else {}
    complete = [split for split, found in splits.items() if all(name in found for name in systems)]
    return {
        "datasets": len({dataset for dataset, _ in complete}),
        "splits": len(complete),
        "systems": {
            name: {
                **_costs([found[name] for found in splits.values() if name in found]),
                "rank": asdict(ranks[name]) if name in ranks else None,
            }
            for name in systems
        },
        "against": {name: _against(splits, name) for name in systems if name != OURS and OURS in systems},
        "scores": _scores(splits, systems),
    }


def _costs(cells: Sequence[Cell]) -> Found:
    """Return what the fits of one system cost; its failures and overruns."""
    return {
        "cells": len(cells),
        "failures": [f"{cell.dataset}, seed {cell.seed}: {cell.failure}" for cell in cells if cell.score is None],
        "overruns": sum(cell.overrun for cell in cells),
        "longest": max((cell.fit_seconds / cell.budget for cell in cells if cell.fit_seconds), default=None),
        **{
            name: _median([value for cell in cells if (value := getattr(cell, name)) is not None])
            for name in ("fit_seconds", "package_seconds", "predict_seconds", "one_row_ms", "peak_mib")
        },
    }


def _against(splits: Splits, other: str) -> Found | None:
    """Return ours against ``other``; None where they share no split."""
    comparisons = compare(splits, OURS, other)
    if not comparisons:
        return None
    return {
        **_verdicts(comparisons),
        "one_row": _ratio(splits, other, lambda cell: cell.one_row_ms),
        "predict": _ratio(splits, other, lambda cell: cell.predict_seconds),
    }


def _more_time(cells: Sequence[Cell]) -> Iterator[Found]:
    """Return ours at each budget against the next smaller one, on the splits that have both; ``cells`` are ours."""
    budgets = {budget: splits_of(cells, budget) for budget in sorted({cell.budget for cell in cells})}
    for (less, before), (more, after) in pairwise(budgets.items()):
        names = f"{less:g}", f"{more:g}"
        both = {
            split: {names[0]: found[OURS], names[1]: after[split][OURS]}
            for split, found in before.items()
            if split in after
        }
        if comparisons := compare(both, names[1], names[0]):
            yield {"budgets": names, **_verdicts(comparisons), "scores": _scores(both, names)}


def _verdicts(comparisons: Sequence[Comparison]) -> Found:
    """Return how often one side wins, its points, and how often it is better, noise or not; by data set as well."""
    counts = Counter(comparison.verdict for comparison in comparisons)
    better = sum(c.points if c.difference is None else c.difference > 0 for c in comparisons)
    return {
        **{verdict: counts[verdict] for verdict in ("win", "tie", "loss")},
        "points": asdict(points(comparisons)),
        "better": better / len(comparisons),
        "datasets": {comparison.dataset: asdict(comparison) for comparison in comparisons},
    }


def _ratio(splits: Splits, other: str, number: Callable[[Cell], float | None]) -> Found | None:
    try:
        return asdict(ratio(splits, OURS, other, number))
    except ValueError:
        return None


def _scores(splits: Splits, systems: Sequence[str]) -> Found:
    """Return the mean score over the seeds, by data set and system; None where a seed failed."""
    by_dataset: dict[str, dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for (dataset, _), found in splits.items():
        for name, cell in found.items():
            by_dataset[dataset][name].append(cell.score)
    return {
        dataset: {name: _mean(by_dataset[dataset].get(name, [])) for name in systems}
        for dataset in DATASETS
        if dataset in by_dataset
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
