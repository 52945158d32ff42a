"""What a search tries first: good and different configurations of every family, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from include.automl.bench import Configuration
from include.automl.families import find_family
from include.specs.training import Task


def portfolio(families: Sequence[str], task: Task) -> list[Configuration]:
    """Return the first configuration of every family that learns ``task``, then the second ones, and so on.

    Args:
        families: names, in the order in which they are tried.
        task: what is learnt.
    """
    able = [family for family in map(find_family, families) if task in family.tasks]
    tiers = zip_longest(*(family.portfolio(task) for family in able))
    return [
        Configuration(family.name, params)
        for tier in tiers
        for family, params in zip(able, tier, strict=True)
        if params is not None
    ]
