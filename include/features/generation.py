"""Which generated features pay: candidates found cheaply, kept only where unseen rows are predicted better by them.

A quick model is fitted out of fold with the plain features; what it leaves unexplained is held against every candidate,
and against the same rows in another order. What stands out is then judged in earnest (`include.features.judge`), and
must gain more than the same features gain when their rows are shuffled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.categories import levels_of
from include.features.generated import Generated, made_of, pairs_of, shift_of
from include.features.judge import Judge, Verdict
from include.features.objective import Objective
from include.features.plan import View
from include.features.telling import Told, binned, centred, straight, told_by_levels, values_of
from include.inference.arithmetic import NO_SHIFT
from include.specs.training import Features

if TYPE_CHECKING:
    from include.features.prepared import Prepared
    from include.store.packages import Field

Array = np.ndarray[Any, Any]

LEAST_ROWS = 300
"""Training rows below which nothing is generated: gains could not be told from luck."""
BEST_NUMBERS, BEST_CATEGORIES, BEST_DATES = 9, 6, 4
"""Columns of each kind that are combined: those that tell most."""
MOST_KEPT = 12
"""Features that are judged together at most."""


def propose(
    prepared: Prepared,
    features: Features,
    objective: Objective,
    seconds: float,
    seed: int,
    threads: int = 1,
    view: View = "trees",
) -> tuple[Generated, ...]:
    """Return the generated features that pay, the best first; none where nothing does or the time is too short.

    Args:
        prepared: the prepared rows; held-out ones are not looked at.
        features: the spec's features.
        objective: what is optimised.
        seconds: time that it may take.
        seed: of every random choice.
        threads: most threads of a fit.
        view: ``trees``: judged by LightGBM; ``scaled``: by a linear model, squares among the candidates.
    """
    deadline = time.monotonic() + seconds
    if len(prepared.train) < LEAST_ROWS:
        return ()
    judge = Judge(prepared, features, objective, seed, threads, view)
    if not judge.folds:
        return ()
    before = judge.verdict(prepared.fields, deadline=time.monotonic() + seconds / 3)
    if before is None:
        return ()
    standing = _standing_out(judge, before, prepared.fields, view, seed, deadline)
    best: tuple[float, tuple[Generated, ...]] = (0.0, ())
    for count in sorted({min(size, len(standing)) for size in (MOST_KEPT, 5, 2, 1)} - {0}, reverse=True):
        tried = tuple(standing[:count])
        after = judge.verdict(prepared.fields, tried, deadline=deadline)
        if after is None:
            break
        share = judge.pays(before, after)
        if share <= best[0]:
            continue
        best = (share, tried)
    again = Judge(prepared, features, objective, seed + 1, threads, view)
    return best[1] if best[1] and _confirmed(again, prepared.fields, best[1], deadline) else ()


def _confirmed(judge: Judge, fields: Sequence[Field], tried: Sequence[Generated], deadline: float) -> bool:
    """Tell whether features pay on other folds too, and more than with their rows shuffled; no where time is short."""
    before = judge.verdict(fields, deadline=deadline)
    after = judge.verdict(fields, tried, deadline=deadline) if before else None
    luck = judge.verdict(fields, tried, shuffled=True, deadline=deadline) if after else None
    if before is None or after is None or luck is None:
        return False
    return judge.pays(before, after) > 0 and after.losses.mean() < luck.losses.mean()


@dataclass(frozen=True)
class _Candidate:
    """A feature and its values: a bin or level for trees, or numbers about 0 for linear models."""

    item: Generated
    values: Array


def _standing_out(
    judge: Judge, before: Verdict, fields: Sequence[Field], view: View, seed: int, deadline: float
) -> list[Generated]:
    """Return the candidates that tell more than their columns do and than any does by luck, the best first.

    Looked at is what they tell of the residuals, and what they tell of the target beyond what their columns tell of it
    added up: a quick model that bends around a feature leaves little in the residuals.
    """
    rng = np.random.default_rng(seed)
    rows = judge.rows.iloc[before.rows]
    told = [Told(judge.residuals(before), view, rng), Told(centred(judge.target, judge.task)[before.rows], view, rng)]
    found: list[tuple[float, float, Generated]] = []
    alone = [{field.name: each.share(values_of(rows, field, view)) for field in fields} for each in told]
    for candidate in _candidates(rows, _tellers(judge, fields), view):
        if time.monotonic() > deadline:
            break
        left, right = candidate.item.left, candidate.item.right
        news = told[0].gain(candidate.values) - max(alone[0][left], alone[0][right], 0.0)
        more = told[1].gain(candidate.values) - max(alone[1][left], 0.0) - max(alone[1][right], 0.0)
        found.append((news, more, candidate.item))
    by_residuals = sorted((each for each in found if each[0] > told[0].luck), key=lambda each: -each[0])
    together = sorted((each for each in found if each[1] > told[1].luck), key=lambda each: -each[1])
    mixed = [item for pair in zip_longest(by_residuals, together) for item in pair if item is not None]
    return list(dict.fromkeys(item for _, _, item in mixed))[:MOST_KEPT]


def _tellers(judge: Judge, fields: Sequence[Field]) -> dict[str, list[Field]]:
    """Return the columns of each kind that tell most of the target, each alone.

    A column of `features.monotone` is left out: what is made of it and another may fall where it rises.
    """
    fields = [field for field in fields if field.name not in judge.features.monotone]
    targets, halves = centred(judge.target, judge.task), np.arange(len(judge.target)) % 2
    told = {field.name: told_by_levels(values_of(judge.rows, field, "trees"), targets, halves) for field in fields}
    ranked = sorted(fields, key=lambda field: -told[field.name])
    categorical = set(judge.features.categorical)
    return {
        "number": [f for f in ranked if f.type == "number" and f.name not in categorical][:BEST_NUMBERS],
        "category": [f for f in ranked if f.type in ("string", "boolean") or f.name in categorical][:BEST_CATEGORIES],
        "datetime": [f for f in ranked if f.type == "datetime"][:BEST_DATES],
    }


def _candidates(rows: Any, tellers: dict[str, list[Field]], view: View) -> Iterator[_Candidate]:
    """Yield what can be made of two columns, with its values."""
    items = [Generated("days", a.name, b.name) for a, b in combinations(tellers["datetime"], 2)]
    for a, b in combinations(tellers["number"], 2):
        items += [
            Generated("ratio", a.name, b.name),
            Generated("ratio", b.name, a.name),
            Generated("difference", a.name, b.name),
            Generated("product", a.name, b.name),
        ]
    if view == "scaled":
        items += [Generated("product", a.name, a.name) for a in tellers["number"]]
    for item in items:
        shift = shift_of(item.description, rows) if view == "scaled" else NO_SHIFT
        values = made_of(item.description, rows, shift)
        yield _Candidate(item, binned(values) if view == "trees" else straight(values))
    for a, b in combinations(tellers["category"] if view == "trees" else (), 2):
        codes = levels_of(pairs_of(rows[a.name].to_numpy(), rows[b.name].to_numpy()))[0]
        if codes.max() < len(codes) / 4:
            yield _Candidate(Generated("pair", a.name, b.name), codes)
