"""What the search is held to, at 60 s where nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.automl.systems import OURS

BUDGET = "60"


@dataclass(frozen=True)
class Goal:
    """A bound and what was measured; no value: what it needs was not measured."""

    title: str
    bound: str
    value: float | None
    held: bool


def goals(budgets: Mapping[str, Any]) -> list[Goal]:
    """Return every goal with what the report of the ``budgets`` says of it."""
    part = budgets.get(BUDGET, {"systems": {}, "against": {}})
    ranks = {name: seen["rank"]["value"] for name, seen in part["systems"].items() if seen["rank"]}
    peers = [rank for name, rank in ranks.items() if name != OURS]
    every = [budget["systems"][OURS] for budget in budgets.values() if OURS in budget["systems"]]
    lead = min(peers) - ranks[OURS] if peers and OURS in ranks else None
    flaml = part["against"].get("flaml")
    return [
        _most("failures of ours, all budgets", 0, sum(len(seen["failures"]) for seen in every) if every else None),
        _least("points against FLAML", 0.75, flaml and flaml["points"]["value"]),
        Goal("mean rank, the best peer's less ours", "> 0", lead, lead is not None and lead > 0),
        *(
            _least(f"single row, {title} / ours", 10, _one_row(part["against"].get(name)))
            for name, title in (("autogluon-medium", "AutoGluon medium"), ("autogluon-best", "AutoGluon best"))
        ),
        _most("longest fit of ours / budget, all budgets", 1.1, _longest(every)),
    ]


def _one_row(against: Mapping[str, Any] | None) -> float | None:
    return against["one_row"]["value"] if against and against["one_row"] else None


def _longest(every: list[Any]) -> float | None:
    return max((seen["longest"] for seen in every if seen["longest"] is not None), default=None)


def _least(title: str, bound: float, value: float | None) -> Goal:
    return Goal(title, f"≥ {bound:g}", value, value is not None and value >= bound)


def _most(title: str, bound: float, value: float | None) -> Goal:
    return Goal(title, f"≤ {bound:g}", value, value is not None and value <= bound)
