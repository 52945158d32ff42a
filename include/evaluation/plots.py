"""Plots of an evaluation: importance, and by task confusion, ROC, precision-recall, calibration or residuals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.evaluation.intervals import Scored
from include.evaluation.metrics import Array, labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOP = 20
_MOST_CLASSES = 30
_BINS = 10
_POINTS = 5000


def write_plots(
    folder: Path, target: Array, scored: Scored, classes: Sequence[Any] | None, importance: Sequence[dict[str, Any]]
) -> None:
    """Write the plots that fit the task into ``folder``, as PNG files.

    Args:
        folder: made if it is not there.
        target: codes or values of the held-out rows.
        scored: what the model answered for them.
        classes: labels of a classifier; None for regression.
        importance: as `include.evaluation.explain.permutation_importance` gives it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"importance": _importance(importance)}
    if classes is None:
        figures |= {"predicted": _predicted(target, scored.outputs), "residuals": _residuals(target, scored.outputs)}
    elif len(classes) <= _MOST_CLASSES:
        figures["confusion"] = _confusion(target, labels(scored.outputs, scored.threshold), classes)
    if classes is not None and np.asarray(scored.outputs).ndim == 1 and len(np.unique(target)) == 2:
        figures |= {
            "roc": _roc(target, scored.outputs),
            "precision_recall": _precision_recall(target, scored.outputs),
            "calibration": _calibration(target, scored.outputs),
        }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=110)


def calibration_points(target: Array, probabilities: Array) -> list[tuple[float, float, int]]:
    """Return (mean probability, share of positives, rows) of at most ten groups of equally many rows."""
    order = np.argsort(probabilities, kind="stable")
    groups = np.array_split(order, min(_BINS, len(order)))
    return [(float(probabilities[rows].mean()), float(target[rows].mean()), len(rows)) for rows in groups]


def _figure(title: str, across: str, up: str, size: tuple[float, float] = (5.5, 4.5)) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=across, ylabel=up)
    return figure, axes


def _importance(importance: Sequence[dict[str, Any]]) -> Figure:
    top = list(importance[:_TOP])[::-1]
    figure, axes = _figure("Permutation importance", "metric lost when shuffled", "", (7, 1 + 0.3 * len(top)))
    axes.barh([e["feature"] for e in top], [e["importance"] for e in top], xerr=[e["std"] for e in top])
    return figure


def _confusion(target: Array, codes: Array, classes: Sequence[Any]) -> Figure:
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (np.asarray(target, dtype=int), codes), 1)
    figure, axes = _figure("Confusion", "answered", "true")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(label)[:20] for label in classes]
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 5 else 0)
    axes.set_yticks(range(len(names)), names)
    if len(classes) <= 12:
        for row, column in np.ndindex(counts.shape):
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=ink)
    return figure


def _roc(target: Array, probabilities: Array) -> Figure:
    from sklearn.metrics import roc_curve

    false_positives, true_positives, _ = roc_curve(target, probabilities)
    figure, axes = _figure("ROC", "false positive rate", "true positive rate")
    axes.plot(false_positives, true_positives)
    axes.plot([0, 1], [0, 1], "--", color="grey")
    return figure


def _precision_recall(target: Array, probabilities: Array) -> Figure:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(target, probabilities)
    figure, axes = _figure("Precision and recall", "recall", "precision")
    axes.plot(recall, precision)
    axes.axhline(float(np.mean(target)), linestyle="--", color="grey")
    axes.set_ylim(0, 1.02)
    return figure


def _calibration(target: Array, probabilities: Array) -> Figure:
    points = calibration_points(target, probabilities)
    figure, axes = _figure("Calibration", "mean probability", "share of positives")
    axes.plot([0, 1], [0, 1], "--", color="grey")
    axes.plot([point[0] for point in points], [point[1] for point in points], "o-")
    return figure


def _predicted(target: Array, values: Array) -> Figure:
    shown = slice(None, None, max(1, len(target) // _POINTS))
    figure, axes = _figure("Predicted and true", "true", "predicted")
    axes.plot(target[shown], values[shown], ".", alpha=0.4)
    ends = [float(np.min(target)), float(np.max(target))]
    axes.plot(ends, ends, "--", color="grey")
    return figure


def _residuals(target: Array, values: Array) -> Figure:
    figure, axes = _figure("Residuals", "true - predicted", "rows")
    axes.hist(target - values, bins=min(50, max(5, len(target) // 10)))
    return figure
