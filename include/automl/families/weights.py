"""Weights of rows that make every class count alike, for the metrics that count so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from include.automl.families.base import Conditions, Rows

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
    share = np.bincount(codes, weights) / weights.sum()
    return replace(rows, weights=weights / (len(classes) * share)[codes])
