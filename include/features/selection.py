"""Which columns of a wide table can go: those that tell nothing, alone or in a model, beyond what noise would seem to.

A column is kept when its bins or levels tell more of the target on unseen rows than any column does whose rows are
shuffled, or when a boosted model gains more by it than by any column when the target is shuffled (null importance:
Altmann et al. 2010, "Permutation importance: a corrected feature importance measure"). What is left must predict unseen
rows no worse.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from include.features.judge import Judge, Verdict
from include.features.objective import Objective
from include.features.telling import Told, centred, values_of
from include.specs.training import Features

if TYPE_CHECKING:
    from include.features.prepared import Prepared
    from include.store.packages import Field

LEAST_ROWS = 100
"""Training rows below which nothing is judged."""
WIDE, ROWS_PER_COLUMN = 100, 10
"""More columns than this, or fewer rows than this a column, are wide."""
DRAWS = 3
"""Shuffled targets that importances are held against."""


def is_wide(prepared: Prepared) -> bool:
    """Tell whether a table has so many columns that most may be noise."""
    columns = len(prepared.fields)
    return columns > WIDE or (columns > ROWS_PER_COLUMN and columns * ROWS_PER_COLUMN > len(prepared.train))


def select(
    prepared: Prepared, features: Features, objective: Objective, seconds: float, seed: int, threads: int = 1
) -> dict[str, str]:
    """Return the columns that can go, each with the reason; none where that costs quality or the time is too short.

    Args:
        prepared: the prepared rows; held-out ones are not looked at.
        features: the spec's features; columns that it names are kept.
        objective: what is optimised.
        seconds: time that it may take.
        seed: of every random choice.
        threads: most threads of a fit.
    """
    deadline = time.monotonic() + seconds
    if not is_wide(prepared) or len(prepared.train) < LEAST_ROWS:
        return {}
    judge = Judge(prepared, features, objective, seed, threads)
    if not judge.folds:
        return {}
    before = judge.verdict(prepared.fields, deadline=time.monotonic() + seconds / 3)
    if before is None:
        return {}
    useless = _useless(judge, before, prepared.fields, seed, deadline)
    asked = {*features.include, *features.numeric, *features.categorical, *features.monotone}
    dropped = {name: reason for name, reason in useless.items() if name not in asked}
    kept = [field for field in prepared.fields if field.name not in dropped]
    if not kept or not dropped:
        return {}
    after = judge.verdict(kept, deadline=deadline)
    return dropped if after is not None and judge.no_worse(before, after) else {}


def without(prepared: Prepared, columns: Sequence[str]) -> Prepared:
    """Return ``prepared`` without some of its columns."""
    return replace(
        prepared,
        fields=tuple(field for field in prepared.fields if field.name not in columns),
        train=prepared.train.drop(columns=list(columns)),
        test=prepared.test.drop(columns=list(columns)),
    )


def _useless(judge: Judge, before: Verdict, fields: Sequence[Field], seed: int, deadline: float) -> dict[str, str]:
    """Return the columns that neither statistics nor the model would keep; none where the time is too short."""
    rng = np.random.default_rng(seed)
    told = Told(centred(judge.target, judge.task), "trees", rng)
    alone = {}
    for field in fields:
        alone[field.name] = told.gain(values_of(judge.rows, field, "trees"))
        if time.monotonic() > deadline:
            return {}
    luck = 0.0
    for draw in range(DRAWS):
        shuffled = judge.with_target(np.random.default_rng([seed, draw]).permutation(judge.target))
        null = shuffled.verdict(fields, deadline=deadline)
        if null is None:
            return {}
        luck = max(luck, *null.gains.values())
    gains = before.gains
    return {
        field.name: (
            "tells nothing of the target: alone no more than shuffled columns, and in a model no more than for a "
            f"shuffled target (gain {gains.get(field.name, 0.0):.3g}, by luck up to {luck:.3g})"
        )
        for field in fields
        if alone[field.name] <= told.luck and gains.get(field.name, 0.0) <= luck
    }
