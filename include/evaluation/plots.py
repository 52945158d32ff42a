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
_LEGEND = 10
"""Classes that a legend names at most."""


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
            "lift": _lift(target, scored.outputs),
        }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=110)


def write_explanation(
    folder: Path, shap: dict[str, Any], dependence: Sequence[dict[str, Any]], classes: Sequence[Any] | None
) -> None:
    """Write ``shap.png``, and ``dependence_1.png`` and so on into ``folder``, as far as there is something to draw.

    Args:
        folder: made if it is not there.
        shap: as `include.evaluation.explain.shap_importance` gives it.
        dependence: as `include.evaluation.dependence.partial_dependence` gives it.
        classes: labels of a classifier; None for regression.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if shap.get("features"):
        top = shap["features"][:_TOP][::-1]
        figure, axes = _figure("SHAP values", f"mean size ({shap['space']})", "", (7, 1 + 0.3 * len(top)))
        axes.barh([e["feature"] for e in top], [e["importance"] for e in top])
        figure.savefig(folder / "shap.png", dpi=110)
    for place, found in enumerate(dependence, start=1):
        _dependence(found, classes).savefig(folder / f"dependence_{place}.png", dpi=110)


def lift_points(target: Array, probabilities: Array) -> tuple[Array, Array]:
    """Return shares of the rows, the likeliest first, and how many times their share of positives is that of all."""
    order = np.argsort(-probabilities, kind="stable")
    counts = np.arange(1, len(order) + 1)
    lift: Array = np.cumsum(target[order]) / counts / target.mean()
    return counts / len(order), lift


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


def _lift(target: Array, probabilities: Array) -> Figure:
    shares, lift = lift_points(target, probabilities)
    begin = min(len(lift) - 1, max(0, len(lift) // 100 - 1))  # the first rows alone say nothing
    figure, axes = _figure("Lift", "share of rows, the likeliest first", "positives, times those of all")
    axes.plot(shares[begin:], lift[begin:])
    axes.axhline(1.0, linestyle="--", color="grey")
    axes.set_ylim(bottom=0)
    return figure


def _dependence(found: dict[str, Any], classes: Sequence[Any] | None) -> Figure:
    lines = np.array(found["answers"]).T
    several = classes is not None and len(lines) > 1
    up = "mean value" if classes is None else "mean probability" if several else f"mean probability of {classes[-1]}"
    figure, axes = _figure(found["feature"][:60], "", up, (5.5, 3.6))
    points = found["points"] if found["kind"] == "number" else [str(point)[:16] for point in found["points"]]
    for line, label in zip(lines, classes if several and classes else [None], strict=True):
        name = None if label is None else str(label)[:20]
        axes.plot(points, line, "o" if found["kind"] == "category" else "o-", markersize=4, label=name)
    if found["kind"] != "number":
        axes.tick_params(axis="x", rotation=60, labelsize=8)
    if 1 < len(lines) <= _LEGEND:
        axes.legend(fontsize=8)
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
