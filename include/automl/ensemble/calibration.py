"""How probabilities are calibrated: not at all, by a temperature, or along a rising line; judged across folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from include.automl.bench import wide
from include.automl.folds import Array
from include.inference.ensemble import SMALLEST, calibrated

SURE = 2.0
"""Standard errors by which a calibration must lower the log loss of unseen rows: of those that are of
no use, one in forty passes."""
APART = 1e-3
"""Least distance between the points of a line: a single-precision runtime must follow it."""
ISOTONIC_ROWS = 5000
"""Rows from which a free line may be fitted; below, it follows noise."""
KNOTS = 60
"""Points of the line at most."""
RANKS = ("roc_auc", "average_precision", "roc_auc_ovr")
"""Metrics of ranks, which a calibration must not make ties for."""
_COLDEST, _HOTTEST = 0.2, 5.0


@dataclass(frozen=True)
class Calibration:
    """What is done to probabilities; see `include.inference.ensemble.BlendClassifier`."""

    temperature: float = 1.0
    knots: tuple[tuple[float, float], ...] = ()

    def apply(self, probabilities: Array) -> Array:
        """Return calibrated probabilities, shape (rows, classes)."""
        return calibrated(probabilities, self.temperature, self.knots)

    def on(self, outputs: Array) -> Array:
        """Return calibrated outputs, shaped as they are: as metrics take them; values of a regression stay."""
        if self == Calibration():
            return outputs
        probabilities = self.apply(wide(outputs))
        return probabilities[:, 1] if outputs.ndim == 1 else probabilities


def calibrate(
    probabilities: Array, target: Array, folds: Array, may_tie: bool, weights: Array | None = None
) -> Calibration:
    """Return the calibration that lowers the log loss of held folds most, or none where none does for sure.

    Args:
        probabilities: out-of-fold probabilities, shape (rows, classes).
        target: codes, shape (rows,).
        folds: fold of each row, shape (rows,): a calibration is judged on the folds that it was not fitted on.
        may_tie: whether different probabilities may become the same one, which a metric of ranks would pay for.
        weights: how much each row counts, shape (rows,); the same when None.
    """
    counts = np.ones(len(target)) if weights is None else np.asarray(weights / np.mean(weights), dtype=float)
    kinds: list[Callable[[Array, Array, Array], Calibration]] = [_temperature]
    if probabilities.shape[1] == 2 and len(target) >= ISOTONIC_ROWS and may_tie:
        kinds.append(_isotonic)
    plain = _losses(probabilities, target)
    best, chosen = 0.0, None
    for fit in kinds:
        held = np.array(probabilities)
        for fold in np.unique(folds):
            mine = folds == fold
            if mine.all():
                return Calibration()
            held[mine] = fit(probabilities[~mine], target[~mine], counts[~mine]).apply(probabilities[mine])
        gains = plain - _losses(held, target)
        gain = float(np.average(gains, weights=counts))
        error = float(np.sqrt((counts**2 * (gains - gain) ** 2).sum()) / counts.sum())
        if gain > max(best, SURE * error):
            best, chosen = gain, fit
    return chosen(probabilities, target, counts) if chosen else Calibration()


def log_loss(probabilities: Array, target: Array, weights: Array | None = None) -> float:
    """Return the mean negative logarithm of the probability of each row's class; ``weights`` of shape (rows,)."""
    return float(np.average(_losses(probabilities, target), weights=weights))


def _losses(probabilities: Array, target: Array) -> Array:
    losses: Array = -np.log(np.maximum(probabilities[np.arange(len(target)), target], SMALLEST))
    return losses


def _temperature(probabilities: Array, target: Array, weights: Array) -> Calibration:
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        return log_loss(calibrated(probabilities, float(np.exp(logarithm))), target, weights)

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return Calibration(temperature=float(np.exp(found.x)))


def _isotonic(probabilities: Array, target: Array, weights: Array) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    line = IsotonicRegression(y_min=1 / (len(target) + 2), y_max=1 - 1 / (len(target) + 2))
    line.fit(probabilities[:, 1], target, sample_weight=weights)
    known, wanted = line.X_thresholds_, line.y_thresholds_
    if len(known) > KNOTS:
        places = np.unique(np.linspace(0, len(known) - 1, KNOTS).astype(int))
        known, wanted = known[places], wanted[places]
    knots = [(float(known[0]), float(wanted[0]))]
    for point in zip(known[1:].tolist(), wanted[1:].tolist(), strict=True):
        if point[0] - knots[-1][0] >= APART:
            knots.append(point)
    return Calibration(knots=tuple(knots))
