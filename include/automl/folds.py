"""Cross-validation folds that fit the data: by time, by group, or stratified."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.specs import FactoryError

if TYPE_CHECKING:
    from include.features.prepared import Prepared

Array = np.ndarray[Any, np.dtype[Any]]
Fold = tuple[Array, Array]
"""Positions of the rows to fit on, and of the rows to score."""
Answers = Literal["folds", "refit", "either"]
"""Whose models may answer: those of the folds, ones that are fitted again on all rows, or either."""

FIRST_SHARE = 0.4
"""Ordered rows: share of the oldest rows that every fold fits on."""
FOLDS, ORDERED_FOLDS = 5, 4
FEW, REPEATS = 1000, 2
"""Up to so many rows the cross-validation is repeated with other folds: a single one says little."""
MANY, MANY_FIT, MANY_HELD = 150_000, 200_000, 50_000
"""From so many rows on, configurations are compared on one fold, with so many rows to fit and to score at most; the
final model is fitted on all of them."""
VALUE_SECONDS = 4e-6
"""Seconds for each value of the training rows that a boosted model takes on one core: 300 rounds of trees of 31 leaves;
of several classes each has trees of its own."""
LEAST_HELD, LEAST_FIT = 2500, 20_000
"""Held rows, of all folds together, that a comparison takes, and rows of a fit: below them trials take longer than they
should."""


def make_folds(prepared: Prepared, count: int | None, seed: int) -> list[Fold]:
    """Return at most ``count`` folds of the training rows; as many as suit the rows when None.

    - Ordered rows: each fold fits on all rows before a block and scores the block, so that no fold sees the future.
      Rows of a group that the block holds too are left out of the fit.
    - Groups: no group lies on both sides.
    - Otherwise: shuffled, and stratified for classifiers.

    A fold that cannot be scored (a class is missing where it is needed) is left out; where time leaves none, folds are
    drawn without regard to it.

    Raises:
        FactoryError: no fold can be scored.
    """
    folds = _ordered(prepared, count or ORDERED_FOLDS) if prepared.ordered else _unordered(prepared, count, seed)
    usable = [fold for fold in folds if _usable(prepared, fold)]
    if not usable and prepared.ordered:
        usable = [fold for fold in _unordered(prepared, count, seed) if _usable(prepared, fold)]
    if not usable:
        raise FactoryError(
            f"{len(prepared.train)} training rows cannot be divided into folds that hold every class; bring more rows"
        )
    if count is None and _many(prepared):
        return [_of_at_most(usable[-1], MANY_FIT, MANY_HELD, prepared.ordered, seed)]
    return usable


def in_time(folds: list[Fold], prepared: Prepared, seconds: float, seed: int) -> list[Fold]:
    """Return as many of ``folds`` as a trial can fit in about so many ``seconds``, and as a comparison takes at least.

    A single fold that is still too large fits on fewer rows. What is left out is time for fits that come to their end:
    a model that was stopped early on many rows is worse than one of fewer folds, or rows.

    Args:
        folds: as `make_folds` gives them; of rows in time order the latest ones are taken.
        prepared: the rows.
        seconds: of all folds of a trial.
        seed: of the draw of rows.
    """
    fit, held = (float(np.mean([len(fold[side]) for fold in folds])) for side in (0, 1))
    trees = len(prepared.classes) if prepared.task == "multiclass" and prepared.classes else 1
    rows = seconds / (VALUE_SECONDS * len(prepared.fields) * trees)
    count = max(1, int(rows / fit), math.ceil(LEAST_HELD / held))
    if count == 1 and len(folds) == 1:
        return [_of_at_most(folds[0], max(LEAST_FIT, int(rows)), MANY_HELD, prepared.ordered, seed)]
    return folds[-count:] if prepared.ordered else folds[:count]


def answers(folds: list[Fold], prepared: Prepared) -> Answers:
    """Return whose models may answer where trials are scored on ``folds``, as `make_folds` gives them.

    Those of the folds, where together they have seen every row. Of rows in time order they have not seen the latest
    ones. Those of a part of many rows answer where there is no time to fit on all of them.
    """
    held = np.unique(np.concatenate([held for _, held in folds]))
    if len(held) == len(prepared.train):
        return "folds"
    return "refit" if prepared.ordered else "either"


def _many(prepared: Prepared) -> bool:
    return len(prepared.train) >= MANY


def _of_at_most(fold: Fold, most_fit: int, most_held: int, ordered: bool, seed: int) -> Fold:
    """Return a fold of at most so many rows: the latest ones to fit on where rows are ordered."""
    fit, held = fold
    rng = np.random.default_rng(seed)
    if len(fit) > most_fit:
        fit = fit[-most_fit:] if ordered else np.sort(rng.choice(fit, most_fit, replace=False))
    if len(held) > most_held:
        held = np.sort(rng.choice(held, most_held, replace=False))
    return fit, held


def _unordered(prepared: Prepared, count: int | None, seed: int) -> list[Fold]:
    if count is not None:
        return _shuffled(prepared, count, seed)
    repeats = REPEATS if len(prepared.train) <= FEW else 1
    return [fold for again in range(repeats) for fold in _shuffled(prepared, FOLDS, seed + again)]


def _ordered(prepared: Prepared, count: int) -> list[Fold]:
    rows = len(prepared.train)
    edges = np.unique(np.linspace(rows * FIRST_SHARE, rows, count + 1).astype(int))
    folds = []
    for start, end in pairwise(edges):
        fit, held = np.arange(start), np.arange(start, end)
        if (groups := prepared.train_groups) is not None:
            fit = fit[~np.isin(groups[fit], groups[held])]
        folds.append((fit, held))
    return folds


def _shuffled(prepared: Prepared, count: int, seed: int) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    target, groups = prepared.train_target, prepared.train_groups
    classifier = prepared.task != "regression"
    units = len(target) if groups is None else len(np.unique(groups))
    if classifier and groups is None:
        units = int(np.bincount(target).max())
    count = min(count, units)
    if count < 2:
        return []
    if groups is not None:
        kind = StratifiedGroupKFold if classifier else GroupKFold
    else:
        kind = StratifiedKFold if classifier else KFold
    splitter = kind(n_splits=count, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(target)), target, groups))


def _usable(prepared: Prepared, fold: Fold) -> bool:
    fit, held = fold
    if not len(fit) or not len(held):
        return False
    return prepared.task == "regression" or all(len(np.unique(prepared.train_target[side])) > 1 for side in fold)
