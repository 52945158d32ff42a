"""Weights of rows that make every class count alike, and what undoes them in the probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from include.automl.families.base import Array, Conditions, Rows

_ALIKE = ("balanced_accuracy", "f1_macro")


def balanced(rows: Rows, conditions: Conditions, classifies: bool) -> Rows:
    """Return ``rows`` with weights by which each of several classes weighs the same, if the metric counts them alike.

    With two classes the threshold is tuned instead, which leaves the probabilities what they are.
    """
    if not classifies or conditions.metric not in _ALIKE:
        return rows
    classes, codes = np.unique(rows.target, return_inverse=True)
    if len(classes) < 3:
        return rows
    weights = np.ones(len(codes)) if rows.weights is None else rows.weights
    return replace(rows, weights=weights * class_weights(codes, weights)[codes])


def class_weights(codes: Array, weights: Array | None = None) -> Array:
    """Return the weight of each class by which all weigh the same, shape (classes,); the rows' sum stays what it is.

    Args:
        codes: 0 … n-1, each of which occurs; shape (rows,).
        weights: how much each row counts besides, shape (rows,).
    """
    counts = np.bincount(codes, weights)
    by_class: Array = counts.sum() / (len(counts) * counts)
    return by_class
