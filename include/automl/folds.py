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


def make_folds(prepared: Prepared, count: int, seed: int) -> list[Fold]:
    """Return at most ``count`` folds of the training rows.

    - Ordered rows: each fold fits on all rows before a block and scores the block, so that no fold sees the future.
      Rows of a group that the block holds too are left out of the fit.
    - Groups: no group lies on both sides.
    - Otherwise: shuffled, and stratified for classifiers.

    A fold that cannot be scored (a class is missing where it is needed) is left out; where time leaves none, folds are
    drawn without regard to it.

    Raises:
        FactoryError: no fold can be scored.
    """
    folds = _ordered(prepared, count) if prepared.ordered else _shuffled(prepared, count, seed)
    usable = [fold for fold in folds if _usable(prepared, fold)]
    if not usable and prepared.ordered:
        usable = [fold for fold in _shuffled(prepared, count, seed) if _usable(prepared, fold)]
    if not usable:
        raise FactoryError(
            f"{len(prepared.train)} training rows cannot be divided into folds that hold every class; bring more rows"
        )
    return usable


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
