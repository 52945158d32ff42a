"""Cross-validation folds that fit the data: by time, by group, or stratified."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from include.specs import FactoryError

if TYPE_CHECKING:
    from include.features.prepared import Prepared

Array = np.ndarray[Any, np.dtype[Any]]
Fold = tuple[Array, Array]
"""Positions of the rows to fit on, and of the rows to score."""

FIRST_SHARE = 0.4
"""Ordered rows: share of the oldest rows that every fold fits on."""
FOLDS, ORDERED_FOLDS = 5, 4
FEW, REPEATS = 1000, 2
"""Up to so many rows the cross-validation is repeated with other folds: a single one says little."""
MANY, MANY_FIT, MANY_HELD = 150_000, 200_000, 50_000
"""From so many rows on, configurations are compared on one fold, with so many rows to fit and to score at most; the
final model is fitted on all of them."""


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
    return [_reduced(usable[-1], prepared.ordered, seed)] if count is None and _many(prepared) else usable


def cover(folds: list[Fold], rows: int) -> bool:
    """Tell whether every one of ``rows`` training rows is held by some fold."""
    return len(np.unique(np.concatenate([held for _, held in folds]))) == rows


def _many(prepared: Prepared) -> bool:
    return len(prepared.train) >= MANY


def _reduced(fold: Fold, ordered: bool, seed: int) -> Fold:
    """Return a fold of at most `MANY_FIT` and `MANY_HELD` rows: the latest ones to fit on where rows are ordered."""
    fit, held = fold
    rng = np.random.default_rng(seed)
    if len(fit) > MANY_FIT:
        fit = fit[-MANY_FIT:] if ordered else np.sort(rng.choice(fit, MANY_FIT, replace=False))
    if len(held) > MANY_HELD:
        held = np.sort(rng.choice(held, MANY_HELD, replace=False))
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
