"""Of the trials of a search with several objectives: which ones no other beats, and which one is the model.

A trial is on the Pareto front when no other is at least as good by every objective and better by one. The model is, of
those on the front within every bound of the spec, the best by the metric where every cost is bounded; where one is not,
the knee: the one nearest to the ideal point, each objective scaled to the range that it has there (Zeleny 1973,
"Compromise programming").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.automl.costs import Cost
from include.automl.folds import Array
from include.automl.record import Record


@dataclass(frozen=True)
class Compromise:
    """The trial that was chosen, and why, in words."""

    record: Record
    reason: str


def front(records: Sequence[Record], costs: Sequence[Cost], greater_is_better: bool) -> list[Record]:
    """Return the trials that no other beats, the best by the metric first; of equal ones all.

    Args:
        records: trials that are done.
        costs: the objectives beside the metric.
        greater_is_better: of the metric.
    """
    known = [record for record in records if all(cost.name in record.costs for cost in costs)]
    if not known:
        return []
    losses = _losses(known, costs, greater_is_better)
    beaten = [((losses <= mine).all(axis=1) & (losses < mine).any(axis=1)).any() for mine in losses]
    kept = [(loss[0], record) for loss, record, worse in zip(losses, known, beaten, strict=True) if not worse]
    return [record for _, record in sorted(kept, key=lambda pair: pair[0])]


def compromise(records: Sequence[Record], costs: Sequence[Cost], greater_is_better: bool) -> Compromise | None:
    """Return the trial that is to be the model; None where none is done. Arguments as in `front`."""
    unbeaten = front(records, costs, greater_is_better)
    if not unbeaten:
        return None
    within = [record for record in unbeaten if not excess(record.costs, costs)]
    bounds = ", ".join(f"{cost.name} at most {cost.bound:g}" for cost in costs if cost.bound is not None)
    if not within:
        nearest = min(unbeaten, key=lambda record: sum(over for _, over in excess(record.costs, costs)))
        over = " and ".join(name for name, _ in excess(nearest.costs, costs))
        near = f"trial {nearest.number} is the nearest to them, but exceeds {over}"
        return Compromise(nearest, f"no trial is within the bounds ({bounds}); {near}")
    if all(cost.bound is not None for cost in costs):
        best = _losses(within, costs, greater_is_better)
        chosen = within[min(range(len(within)), key=lambda place: tuple(best[place]))]
        return Compromise(chosen, f"trial {chosen.number} is the best one within the bounds ({bounds})")
    chosen = within[_knee(_losses(within, costs, greater_is_better))]
    where = f"the Pareto front within the bounds ({bounds})" if bounds else "the Pareto front"
    return Compromise(chosen, f"trial {chosen.number} is the knee of {where}: the nearest one to the ideal point")


def excess(values: dict[str, float], costs: Sequence[Cost]) -> list[tuple[str, float]]:
    """Return by what share of its bound each cost is too large, as (name, share); none where all are within."""
    return [
        (cost.name, (values[cost.name] - cost.bound) / (cost.bound or 1.0))
        for cost in costs
        if cost.bound is not None and values[cost.name] > cost.bound
    ]


def _losses(records: Sequence[Record], costs: Sequence[Cost], greater_is_better: bool) -> Array:
    """Return every objective so that less is better, shape (records, objectives), the metric first."""
    sign = -1.0 if greater_is_better else 1.0
    return np.array([[sign * (record.mean or 0.0), *(record.costs[cost.name] for cost in costs)] for record in records])


def _knee(losses: Array) -> int:
    """Return the place of the point nearest to the best of every objective, in shares of each one's range."""
    low = losses.min(axis=0)
    spread = losses.max(axis=0) - low
    shares = (losses - low) / np.where(spread > 0, spread, 1.0)
    return int(np.argmin((shares**2).sum(axis=1)))
