"""What is made of a table's columns beside using them as they are: some are left out, some are combined."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.features.objective import Objective
from include.specs.training import Features

if TYPE_CHECKING:
    from include.features.generated import Description
    from include.features.plan import View
    from include.features.prepared import Prepared


@dataclass(frozen=True)
class ColumnChoice:
    """What was found to pay.

    Attributes:
        left_out: column that can go → why.
        generated: for each view the features made of two columns that help models of that view.
    """

    left_out: Mapping[str, str] = field(default_factory=dict)
    generated: Mapping[View, tuple[Description, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ColumnChoice:
        """Return what ``dataclasses.asdict`` made JSON of."""
        made = {view: tuple(tuple(one) for one in found) for view, found in document["generated"].items()}
        return cls(document["left_out"], made)


def look(prepared: Prepared, features: Features, objective: Objective, seconds: float, seed: int) -> ColumnChoice:
    """Find out which columns can go and which generated features pay, on one thread.

    Args:
        prepared: the prepared rows; held-out ones are not looked at.
        features: the spec's features.
        objective: what is optimised.
        seconds: time that it may take.
        seed: of every random choice.
    """
    from include.features.generation import propose
    from include.features.selection import is_wide, select, without

    deadline = time.monotonic() + seconds
    left_out: dict[str, str] = {}
    if is_wide(prepared):
        left_out = select(prepared, features, objective, seconds / 2, seed)
        prepared = without(prepared, tuple(left_out)) if left_out else prepared
    views: tuple[View, ...] = ("trees", "scaled")
    generated = {}
    for number, view in enumerate(views):
        left = (deadline - time.monotonic()) / (len(views) - number)
        found = propose(prepared, features, objective, left, seed, view=view) if left > 0 else ()
        generated[view] = tuple(one.description for one in found)
    return ColumnChoice(left_out, generated)
