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
from include.features.encodings import targets_of
from include.features.generated import Generated, made_of, pairs_of
from include.features.judge import Judge, Objective, Verdict
from include.features.plan import View
from include.inference.squashing import squashed
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
_BINS = 12
_SHRINKAGE = 20.0
"""Rows of the mean that a level's mean is drawn to: a level of few rows says little."""
_DRAWS = 3
"""Other orders of the rows that each candidate is held against."""


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
        luck = judge.verdict(prepared.fields, tried, shuffled=True, deadline=deadline)
        if luck is None:
            break
        if after.losses.mean() < luck.losses.mean():
            best = (share, tried)
    return best[1]


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
    told = [_Told(judge.residuals(before), view, rng), _Told(_centred(judge)[before.rows], view, rng)]
    found: list[tuple[float, float, Generated]] = []
    alone = [{field.name: each.share(_values_of(rows, field, view)) for field in fields} for each in told]
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


class _Told:
    """How much of the squares of some targets, shape (rows, targets), a feature explains.

    Attributes:
        luck: the most that a feature explained whose rows were put in another order.
    """

    def __init__(self, targets: Array, view: View, rng: np.random.Generator) -> None:
        self.luck = 0.0
        self._targets, self._share = targets, _told_by_line if view == "scaled" else _told_by_levels
        self._halves = rng.integers(0, 2, len(targets))
        self._orders = [rng.permutation(len(targets)) for _ in range(_DRAWS)]

    def share(self, values: Array) -> float:
        """Return the share that ``values`` explain."""
        return self._share(values, self._targets, self._halves)

    def gain(self, values: Array) -> float:
        """Return the same, and remember what other orders of the rows explain."""
        shuffled = (self._share(values[order], self._targets, self._halves) for order in self._orders)
        self.luck = max(self.luck, *shuffled)
        return self.share(values)


def _told_by_levels(codes: Array, targets: Array, halves: Array) -> float:
    """Return the share of squares that means by code explain, learnt on the other half of the rows."""
    total = float((targets**2).sum())
    if not total:
        return 0.0
    left, levels = total, int(codes.max()) + 1
    for half in (0, 1):
        fit, held = halves == half, halves != half
        counts = np.bincount(codes[fit], minlength=levels) + _SHRINKAGE
        for target in targets.T:
            means = np.bincount(codes[fit], weights=target[fit], minlength=levels) / counts
            told = means[codes[held]]
            left -= float((told * (2 * target[held] - told)).sum())
    return 1 - left / total


def _told_by_line(values: Array, targets: Array, halves: Array) -> float:
    """Return the share of squares that a straight line explains."""
    total = float((targets**2).sum())
    length = float((values**2).sum())
    return float(((values @ targets) ** 2).sum()) / length / total if total and length else 0.0


def _centred(judge: Judge) -> Array:
    """Return the targets around their mean, shape (rows, 1) or (rows, classes)."""
    targets = np.column_stack(targets_of(judge.target, judge.task))
    return np.asarray(targets - targets.mean(axis=0))


def _tellers(judge: Judge, fields: Sequence[Field]) -> dict[str, list[Field]]:
    """Return the columns of each kind that tell most of the target, each alone."""
    targets, halves = _centred(judge), np.arange(len(judge.target)) % 2
    told = {field.name: _told_by_levels(_values_of(judge.rows, field, "trees"), targets, halves) for field in fields}
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
        values = made_of(item.description, rows)
        yield _Candidate(item, _binned(values) if view == "trees" else _straight(values))
    for a, b in combinations(tellers["category"] if view == "trees" else (), 2):
        codes = levels_of(pairs_of(rows[a.name].to_numpy(), rows[b.name].to_numpy()))[0]
        if codes.max() < len(codes) / 4:
            yield _Candidate(Generated("pair", a.name, b.name), codes)


def _values_of(rows: Any, field: Field, view: View) -> Array:
    """Return a column's bins or levels for trees, its numbers around 0 for linear models."""
    if field.type == "string":
        return levels_of(rows[field.name].to_numpy())[0] if view == "trees" else np.zeros(len(rows))
    if field.type == "datetime":
        times = rows[field.name].to_numpy("datetime64[ns]")
        values = np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))
    else:
        values = rows[field.name].to_numpy(np.float64)
    return _binned(values) if view == "trees" else _straight(values)


def _straight(values: Array) -> Array:
    """Return numbers as a linear model sees them: around their mean, far ones drawn in, gaps in the middle."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values))
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    drawn = squashed((np.where(np.isfinite(values), values, middle) - middle) / ((high - low) or 1.0))
    return np.asarray(drawn - drawn.mean())


def _binned(values: Array) -> Array:
    """Return the quantile bin of each value; gaps have a bin of their own."""
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.empty(0)
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), len(edges) + 1)
