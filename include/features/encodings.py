"""Means of the target at the levels of a category, shrunk where rows are few, and cross-fitted."""

from __future__ import annotations

from typing import Any

import numpy as np

from include.specs.training import Task

Array = np.ndarray[Any, Any]
Folds = list[tuple[Array, Array]]
"""Positions of the rows to learn from, and of the rows to encode."""
FOLDS = 5
BEYOND_CHANCE = 4.0
"""Standard errors from which a correlation counts."""


def level_means(codes: Array, levels: int, y: Array, task: Task) -> Array:
    """Return the shrunk mean of the target at each level, and a last row for levels that were never seen.

    Each level's mean is drawn towards the mean of all rows, the more so the fewer rows it has and the more they differ
    (empirical Bayes: Micci-Barreca 2001, "A preprocessing scheme for high-cardinality categorical attributes"; what
    scikit-learn's ``TargetEncoder(smooth="auto")`` computes).

    Args:
        codes: level of each row, 0 … levels-1.
        levels: number of levels.
        y: codes of classes, or values.
        task: of several classes each gets a column of its own.

    Returns:
        float64, shape (levels + 1, 1), or (levels + 1, classes).
    """
    return _table(codes, levels, targets_of(y, task))


def cross_fitted(codes: Array, levels: int, y: Array, task: Task, folds: Folds | None = None) -> Array:
    """Return `level_means` for each row, learnt from the rows of other folds; shape (rows, 1) or (rows, classes)."""
    targets = targets_of(y, task)
    found = np.empty((len(codes), len(targets)))
    for fit, held in folds or folds_of(y, task):
        found[held] = _table(codes[fit], levels, [target[fit] for target in targets])[codes[held]]
    return found


def tells(means: Array, y: Array, task: Task) -> bool:
    """Tell whether cross-fitted ``means`` say something of the target: whether they go with it beyond chance.

    Under chance the correlation of two columns times √rows is about normal; of several classes one must say something.
    """
    return any(
        _correlation(means[:, place], target) * np.sqrt(len(y)) > BEYOND_CHANCE
        for place, target in enumerate(targets_of(y, task))
    )


def _correlation(first: Array, second: Array) -> float:
    first, second = first - first.mean(), second - second.mean()
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / length if length else 0.0


def targets_of(y: Array, task: Task) -> list[Array]:
    """Return ``y`` as float64 columns: itself, or for several classes a 0/1 column a class."""
    if task != "multiclass":
        return [np.asarray(y, dtype=np.float64)]
    return [(y == code).astype(np.float64) for code in np.unique(y)]


def folds_of(y: Array, task: Task) -> Folds:
    """Return folds, stratified for classes; the whole for both sides where there is a single row."""
    from sklearn.model_selection import KFold, StratifiedKFold

    if len(y) < 2:
        return [(np.arange(len(y)), np.arange(len(y)))]
    if task == "regression":
        return list(KFold(min(FOLDS, len(y)), shuffle=True, random_state=0).split(y))
    rarest = np.unique(y, return_counts=True)[1].min()
    splitter = StratifiedKFold if rarest > 1 else KFold
    count = int(np.clip(rarest if rarest > 1 else len(y), 2, FOLDS))
    return list(splitter(count, shuffle=True, random_state=0).split(np.zeros(len(y)), y))


def _table(codes: Array, levels: int, targets: list[Array]) -> Array:
    counts = np.bincount(codes, minlength=levels)
    return np.column_stack([_shrunk(codes, counts, target) for target in targets])


def _shrunk(codes: Array, counts: Array, target: Array) -> Array:
    """Return one mean a level and, last, that of all rows."""
    overall, variance = float(target.mean()), float(target.var())
    if variance == 0.0:
        return np.full(len(counts) + 1, overall)
    known = np.maximum(counts, 1)
    means = np.bincount(codes, weights=target, minlength=len(counts)) / known
    within = np.bincount(codes, weights=(target - means[codes]) ** 2, minlength=len(counts)) / known
    weight = variance * counts / np.where(counts, variance * counts + within, 1.0)
    return np.append(weight * means + (1 - weight) * overall, overall)
