"""Metrics of a prediction, by name. Each is defined once, over many weightings of the rows at a time.

A weighting gives each row a count: all ones is the data as it is, and a bootstrap resample is a row of counts. So one
definition serves the point estimate and a thousand resamples, without a Python loop over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from include.specs import FactoryError, did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]
Definition = Callable[[Array, Array, Array], Array]
DEFAULT_THRESHOLD = 0.5


class MetricError(FactoryError):
    """A metric is unknown, or does not fit the outputs that it is given."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as in `include.specs.training.METRICS`.
        title: for people.
        greater_is_better: False for losses and errors.
        takes: what ``define`` compares the target with: ``output`` (probabilities, or values of a regression) or
            ``label`` (predicted codes).
        define: (target, output or label, weights) → values; weights have shape (weightings, rows).
    """

    name: str
    title: str
    greater_is_better: bool
    takes: Literal["output", "label"]
    define: Definition

    def values(self, target: Array, outputs: Array, weights: Array, threshold: float = DEFAULT_THRESHOLD) -> Array:
        """Return the metric under each weighting, shape (weightings,); NaN where it is not defined.

        Args:
            target: codes of a classifier, or values; shape (rows,).
            outputs: binary: probability of the positive class, shape (rows,); multiclass: shape (rows, classes);
                regression: shape (rows,).
            weights: count of each row, shape (weightings, rows).
            threshold: binary: probability from which the positive class is answered.
        """
        seen = labels(outputs, threshold) if self.takes == "label" else np.asarray(outputs, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.define(np.asarray(target), seen, weights)

    def score(
        self,
        target: Array,
        outputs: Array,
        threshold: float = DEFAULT_THRESHOLD,
        weights: Array | None = None,
    ) -> float:
        """Return the metric of the rows as they are; NaN where it is not defined (one class only).

        ``weights`` says how much each row counts, shape (rows,); once each when None.
        """
        counts = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=float)
        return float(self.values(target, outputs, counts[None], threshold)[0])

    def __call__(self, target: Array, outputs: Array, weights: Array | None = None) -> float:
        """Return `score` at the default threshold: the form that the search takes."""
        return self.score(target, outputs, weights=weights)


def labels(outputs: Array, threshold: float = DEFAULT_THRESHOLD) -> Array:
    """Return predicted codes: by threshold for binary outputs (rows,), else the likeliest class of (rows, classes)."""
    outputs = np.asarray(outputs)
    if outputs.ndim == 1:
        return (outputs >= threshold).astype(np.int64)
    codes: Array = outputs.argmax(axis=1)
    return codes


def metric(name: str) -> Metric:
    """Return the metric called ``name``.

    Raises:
        MetricError: there is none.
    """
    if name not in METRICS:
        raise MetricError(f"there is no metric '{name}'; {did_you_mean(name, METRICS)}")
    return METRICS[name]


def greater_is_better(name: str) -> bool:
    """Tell whether a larger value of the metric is a better one."""
    return metric(name).greater_is_better


def score(name: str, target: Array, outputs: Array, threshold: float = DEFAULT_THRESHOLD) -> float:
    """Return metric ``name`` of ``outputs`` against ``target``; shapes as in `Metric.values`."""
    return metric(name).score(target, outputs, threshold)


def best_threshold(name: str, target: Array, probabilities: Array, weights: Array | None = None) -> float:
    """Return the threshold at which a binary label metric is best; 0.5 for metrics that need none.

    ``weights`` says how much each row counts, shape (rows,). Candidates are the midpoints between 200 quantiles of the
    probabilities, and 0.5, which wins ties.
    """
    chosen = metric(name)
    if chosen.takes != "label" or np.asarray(probabilities).ndim != 1:
        return DEFAULT_THRESHOLD
    marks = np.unique(np.quantile(probabilities, np.linspace(0, 1, 201)))
    candidates = [DEFAULT_THRESHOLD, *((marks[1:] + marks[:-1]) / 2)]
    return float(max(candidates, key=lambda at: chosen.score(target, probabilities, at, weights)))


def _mean(losses: Array, weights: Array) -> Array:
    mean: Array = weights @ losses / weights.sum(axis=1)
    return mean


def _by_ties(scores: Array, columns: tuple[Array, ...]) -> list[Array]:
    """Return each (weightings, rows) array summed over rows of equal score, in rising order of the score."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    if len(starts) == len(scores):
        return [column[:, order] for column in columns]
    return [np.add.reduceat(column[:, order], starts, axis=1) for column in columns]


def _roc_auc(positive: Array, scores: Array, weights: Array) -> Array:
    """Return the share of (positive, negative) pairs in the right order, ties counted half (Mann-Whitney U)."""
    ups, downs = _by_ties(scores, (weights * positive, weights * (1 - positive)))
    below = np.cumsum(downs, axis=1) - downs
    won = (ups * (below + downs / 2)).sum(axis=1)
    area: Array = won / (ups.sum(axis=1) * downs.sum(axis=1))
    return area


def _average_precision(target: Array, scores: Array, weights: Array) -> Array:
    """Return the sum of precision over the steps of recall, without interpolation."""
    ups, downs = _by_ties(-scores, (weights * target, weights * (1 - target)))
    found = np.cumsum(ups, axis=1)
    answered = found + np.cumsum(downs, axis=1)
    precision = np.divide(found, answered, out=np.zeros_like(found), where=answered > 0)
    average: Array = (ups * precision).sum(axis=1) / ups.sum(axis=1)
    return average


def _log_loss(target: Array, probabilities: Array, weights: Array) -> Array:
    if probabilities.ndim == 1:
        likelihood = np.where(target == 1, probabilities, 1 - probabilities)
    else:
        likelihood = probabilities[np.arange(len(target)), target] / probabilities.sum(axis=1)
    epsilon = np.finfo(float).eps
    return _mean(-np.log(np.clip(likelihood, epsilon, 1 - epsilon)), weights)


def _brier(target: Array, probabilities: Array, weights: Array) -> Array:
    return _mean((probabilities - target) ** 2, weights)


def _accuracy(target: Array, codes: Array, weights: Array) -> Array:
    return _mean((target == codes).astype(float), weights)


def _confusion(target: Array, codes: Array, weights: Array, code: int) -> tuple[Array, Array, Array]:
    """Return weighted (true positives, rows of the class, rows answered as the class), each of shape (weightings,)."""
    actual, answered = (target == code).astype(float), (codes == code).astype(float)
    return weights @ (actual * answered), weights @ actual, weights @ answered


def _f1(target: Array, codes: Array, weights: Array) -> Array:
    hits, actual, answered = _confusion(target, codes, weights, 1)
    total = actual + answered
    share: Array = np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
    return share


def _f1_macro(target: Array, codes: Array, weights: Array) -> Array:
    """Return the mean F1 over the classes that occur among the target or the answers."""
    parts = [_confusion(target, codes, weights, code) for code in np.union1d(target, codes)]
    return _mean_of_defined([2 * hits / (actual + answered) for hits, actual, answered in parts])


def _balanced_accuracy(target: Array, codes: Array, weights: Array) -> Array:
    """Return the mean recall over the classes that occur in the target."""
    parts = [_confusion(target, codes, weights, code) for code in np.unique(target)]
    return _mean_of_defined([hits / actual for hits, actual, _ in parts])


def _roc_auc_ovr(target: Array, probabilities: Array, weights: Array) -> Array:
    """Return the mean area under the curve of each class against the rest."""
    codes = range(probabilities.shape[1])
    return _mean_of_defined(
        [_roc_auc((target == code).astype(float), probabilities[:, code], weights) for code in codes]
    )


def _mean_of_defined(parts: list[Array]) -> Array:
    stacked = np.stack(parts)
    defined = ~np.isnan(stacked)
    mean: Array = np.where(defined, stacked, 0.0).sum(axis=0) / defined.sum(axis=0)
    return mean


def _rmse(target: Array, values: Array, weights: Array) -> Array:
    return np.sqrt(_mean((target - values) ** 2, weights))


def _mae(target: Array, values: Array, weights: Array) -> Array:
    return _mean(np.abs(target - values), weights)


def _r2(target: Array, values: Array, weights: Array) -> Array:
    centred = target - target.mean()  # the variance of resampled rows is shift-invariant; centring keeps it exact
    spread = _mean(centred**2, weights) - _mean(centred, weights) ** 2
    explained: Array = 1 - _mean((target - values) ** 2, weights) / np.where(spread > 0, spread, np.nan)
    return explained


def _median_ae(target: Array, values: Array, weights: Array) -> Array:
    """Return the mean of the least errors that half of the weight, and more than half of it, does not exceed."""
    errors = np.abs(target - values)
    order = np.argsort(errors)
    reached = np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    ranks = [(reached < half).sum(axis=1), (reached <= half).sum(axis=1).clip(max=len(order) - 1)]
    median: Array = (errors[order[ranks[0]]] + errors[order[ranks[1]]]) / 2
    return median


METRICS = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", "area under the ROC curve", True, "output", _roc_auc),
        Metric("average_precision", "average precision", True, "output", _average_precision),
        Metric("log_loss", "log loss", False, "output", _log_loss),
        Metric("brier", "Brier score", False, "output", _brier),
        Metric("f1", "F1", True, "label", _f1),
        Metric("accuracy", "accuracy", True, "label", _accuracy),
        Metric("balanced_accuracy", "balanced accuracy", True, "label", _balanced_accuracy),
        Metric("f1_macro", "F1, mean over classes", True, "label", _f1_macro),
        Metric("roc_auc_ovr", "area under the ROC curve, one against the rest", True, "output", _roc_auc_ovr),
        Metric("rmse", "root mean squared error", False, "output", _rmse),
        Metric("mae", "mean absolute error", False, "output", _mae),
        Metric("r2", "coefficient of determination", True, "output", _r2),
        Metric("median_ae", "median absolute error", False, "output", _median_ae),
    )
}
"""Every metric by name."""
