"""Columns that give the target away: copies of it, renamings, and what is only known after it.

A column is judged alone, by how well it tells the target of training rows that the judgement has not seen. Only near
certainty on many rows counts as a leak: an honest column hardly ever reaches it, and what is dropped here is lost.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.categories import levels_of
from include.features.encodings import cross_fitted, folds_of
from include.specs.training import Task
from include.store.packages import Field

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

LEAK = 0.9995
"""ROC-AUC (two classes), accuracy (several) or R² (numbers) of a column alone from which it leaks the target."""
SUSPECT = 0.99
"""What is told to a person, and kept."""
LEAST_ROWS, LEAST_OF_CLASS = 500, 50
"""Training rows that it takes to call a column a leak; a small table may be separable by luck."""
LEAST_RENAMED, LEAST_OF_RENAMED = 50, 10
"""Training rows, and rows of each class, that it takes for a renaming, which allows no exception."""
MOST_ROWS = 20_000
MOST_VALUES, LEAST_OF_WIDE = 1_000_000, 2000
"""Rows that are looked at; of wide tables fewer, so many values in all, and at least so many rows."""
_LEAVES = 16


@dataclass(frozen=True)
class Leaks:
    """What `find_leaks` found.

    Attributes:
        columns: column → why it must not be a feature.
        notes: columns that nearly give the target away, for a person to judge.
    """

    columns: dict[str, str]
    notes: tuple[str, ...]


def find_leaks(rows: pd.DataFrame, fields: Iterable[Field], y: Array, task: Task, seed: int = 0) -> Leaks:
    """Return the columns of typed training ``rows`` that give ``y`` away.

    Args:
        rows: feature columns, as `include.store.packages.typed` gives them.
        fields: the columns to judge.
        y: codes of classes, or values.
        task: binary, multiclass or regression.
        seed: of the draw, where there are more than `MOST_ROWS` rows.
    """
    if len(y) < LEAST_RENAMED:
        return Leaks({}, ())
    fields, chosen = tuple(fields), np.arange(len(y))
    most = max(LEAST_OF_WIDE, min(MOST_ROWS, MOST_VALUES // max(1, len(fields))))
    if len(y) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(y), most, replace=False))
    rows, y = rows.iloc[chosen], y[chosen]
    rarest = len(y) if task == "regression" else np.unique(y, return_counts=True)[1].min()
    many = len(y) >= LEAST_ROWS and rarest >= LEAST_OF_CLASS
    leaks: dict[str, str] = {}
    notes: list[str] = []
    for field in fields:
        values = rows[field.name].to_numpy("datetime64[ns]" if field.type == "datetime" else None)
        if task != "regression" and field.type != "datetime" and _renames(values, y):
            leaks[field.name] = "says the same as the target in other words; add it to features.include to use it"
        elif many and (certainty := _certainty(values, field, y, task)) >= SUSPECT:
            told = f"tells the target alone ({_MEASURES[task]} {certainty:.4f} on rows not fitted on)"
            if certainty >= LEAK:
                leaks[field.name] = f"{told}: a leak; add it to features.include to use it"
            else:
                notes.append(f"{field.name}: {told}; make sure that it is known when a prediction is asked for")
    return Leaks(leaks, tuple(notes))


_MEASURES: dict[Task, str] = {"binary": "ROC-AUC", "multiclass": "accuracy", "regression": "R²"}


def _renames(values: Array, y: Array) -> bool:
    """Tell whether each value stands for one class and each class for one value, without exception."""
    import pandas as pd

    counts = np.bincount(y)
    if counts[counts > 0].min() < LEAST_OF_RENAMED:
        return False
    classes = int((counts > 0).sum())
    if len(pd.unique(values[: 20 * classes])) > 2 * classes:  # most columns are told by a glance
        return False
    codes, levels = levels_of(values)
    return len(levels) == classes and len(np.unique(codes * (y.max() + 1) + y)) == classes


def _certainty(values: Array, field: Field, y: Array, task: Task) -> float:
    """Return how well a column alone tells the target of rows that were not fitted on."""
    if field.type in ("string", "boolean"):
        codes, levels = levels_of(values)
        if len(levels) > len(y) / 2:
            return 0.0
        return _score(cross_fitted(codes, len(levels), y, task), y, task)
    numbers = values.astype(np.float64)
    missing = np.isnat(values) if field.type == "datetime" else ~np.isfinite(values)
    table = np.column_stack([np.where(missing, 0.0, numbers), missing])
    everything = np.arange(len(y))
    if _score(_told(table, y, everything, everything, task), y, task) < SUSPECT:  # not even on rows fitted on
        return 0.0
    found = np.empty((len(y), len(np.unique(y)) if task == "multiclass" else 1))
    for fit, held in folds_of(y, task):
        found[held] = _told(table, y, fit, held, task)
    return _score(found, y, task)


def _told(table: Array, y: Array, fit: Array, held: Array, task: Task) -> Array:
    """Return what the column says of ``held`` rows: values, the rate of class 1, or one rate a class; 2-dimensional."""
    if task == "regression":  # a curve that only rises or only falls: a tree would follow a copy in steps
        from sklearn.isotonic import IsotonicRegression

        values = table[:, 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noise neither rises nor falls: it will not tell the target
            curve = IsotonicRegression(increasing="auto", out_of_bounds="clip").fit(values[fit], y[fit])
        return np.asarray(curve.predict(values[held]))[:, None]
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=5, random_state=0).fit(table[fit], y[fit])
    rates = model.predict_proba(table[held])
    told: Array = rates[:, 1:] if task == "binary" else rates
    return told


def _score(found: Array, y: Array, task: Task) -> float:
    """Return ROC-AUC, accuracy or R² of what a column says."""
    from sklearn.metrics import r2_score, roc_auc_score

    if task == "regression":
        return float(r2_score(y, found[:, 0]))
    if task == "binary":
        area = float(roc_auc_score(y, found[:, 0]))
        return max(area, 1 - area)
    return float((np.unique(y)[found.argmax(axis=1)] == y).mean())
