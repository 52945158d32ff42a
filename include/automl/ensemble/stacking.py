"""Which trials a second model is tried over, and what the final model is made of once it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from include.automl.ensemble.combination import Combination, Mean, Stack
from include.automl.ensemble.guard import Verdict
from include.automl.record import Record
from include.automl.result import Member

MOST = 2
"""Trials that are tried beside those of the mean at most: each takes time of every prediction."""


@dataclass(frozen=True)
class Combined:
    """What the final model is made of.

    Attributes:
        members: its trials, the heaviest first; their weights sum to 1.
        combination: how they answer together.
        verdict: what was said of a second model over them; None where there was nothing to stack.
    """

    members: tuple[Member, ...]
    combination: Combination
    verdict: Verdict | None


def further(members: Sequence[Member], ranked: Sequence[Record], room: int) -> list[Member]:
    """Return trials that err in another way than those of the mean, with a weight of 0.

    They are the best ones of families that the mean lacks.

    Args:
        members: of the mean.
        ranked: trials that could be added, the best first.
        room: trials that the final model may have beside the members.
    """
    families = {member.record.configuration.family for member in members}
    firsts: dict[str, Record] = {}
    for record in ranked:
        if record.configuration.family not in families:
            firsts.setdefault(record.configuration.family, record)
    return [Member(record, 0.0) for record in list(firsts.values())[: max(0, min(MOST, room))]]


def by_mean(members: Sequence[Member], verdict: Verdict | None) -> Combined:
    """Return the weighted mean of those members that have a weight in it."""
    chosen = tuple(sorted((one for one in members if one.weight > 0), key=lambda member: -member.weight))
    return Combined(chosen, Mean(tuple(member.weight for member in chosen)), verdict)


def by_stack(members: Sequence[Member], stack: Stack, verdict: Verdict) -> Combined:
    """Return the stack over those members that have a weight in it; their weights become shares of all weights."""
    total = sum(stack.weights)
    used = [place for place, weight in enumerate(stack.weights) if weight > 0]
    places = sorted(used, key=lambda place: -stack.weights[place])
    chosen = tuple(Member(members[place].record, stack.weights[place] / total) for place in places)
    return Combined(chosen, stack.of(places), replace(verdict, stack=stack.of(places)))
