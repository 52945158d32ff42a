"""Performance: whether the version's metric, where labels are known, is surely worse than at training time."""

from __future__ import annotations

from functools import cached_property
from math import isfinite, sqrt

from include.evaluation.intervals import Interval, Scored, bootstrap_interval
from include.evaluation.metrics import greater_is_better
from include.monitoring.monitor import Monitor, MonitorResult
from include.monitoring.sample import Reference, Sample
from include.specs.operation import Monitoring

RELATIVE = ("rmse", "mae", "median_ae")
"""Errors in the target's unit: their degradation is a share of the error at training time."""


class PerformanceMonitor(Monitor):
    """Raises ``degradation`` when the metric is surely worse than on the held-out rows by ``settings.degradation``.

    Both figures have an interval, and both intervals count: the lower bound of how much worse it has become combines
    them by the method of variance estimates recovery (Zou & Donner 2008). The probability that a window whose metric is
    worse by no more than ``degradation`` raises the signal is about ``alpha``.

    Args:
        metric: the spec's metric.
    """

    name = "degradation"

    def __init__(self, reference: Reference, settings: Monitoring, metric: str) -> None:
        super().__init__(reference, settings)
        self.metric = metric

    @cached_property
    def expected(self) -> Interval:
        """The metric on the held-out rows, with its interval."""
        return self._interval(self.reference.held_out)

    def calculate(self, sample: Sample) -> MonitorResult:
        """Compare the metric of the window's labelled rows with that of the held-out rows."""
        rows, least = len(sample.labelled()[0]), self.settings.min_rows
        evidence = {"metric": self.metric, "labelled": rows}
        if rows < least:
            message = f"labels of {rows} rows are known; {least} are needed"
            return MonitorResult(self.name, None, message, evidence)
        current = self._interval(sample)
        worse = worse_by(self.expected, current, greater_is_better(self.metric))
        if not all(isfinite(value) for value in (worse.value, worse.low, worse.high)):
            message = f"{self.metric} is not defined on these rows, as when all labels are the same"
            return MonitorResult(self.name, None, message, evidence)
        allowed = self.settings.degradation * (self.expected.value if self.metric in RELATIVE else 1.0)
        evidence |= {
            "expected": self.expected.as_dict(),
            "current": current.as_dict(),
            "worse_by": worse.as_dict(),
            "allowed": allowed,
        }
        message = (
            f"{self.metric} is {current.value:.3f} on {rows} labelled rows; {self.expected.value:.3f} at training time"
        )
        return MonitorResult(self.name, worse.low > allowed, message, evidence)

    def _interval(self, sample: Sample) -> Interval:
        target, outputs = sample.labelled()
        if not len(target):
            return Interval(float("nan"), float("nan"), float("nan"))
        codes = target if self.reference.classes is None else target.astype(int)
        scored = Scored(outputs, self.reference.threshold)
        return bootstrap_interval(self.metric, codes, scored, confidence=1 - 2 * self.settings.alpha)


def worse_by(expected: Interval, current: Interval, greater_better: bool) -> Interval:
    """Return by how much ``current`` is worse than ``expected``, from two independent samples.

    Zou & Donner 2008, "Construction of confidence limits about effect measures" (Statistics in Medicine 27, eq. 7): the
    distance from the estimate to each limit is the root of the sum of the squares of the two samples' distances.
    """
    if not greater_better:
        expected, current = (Interval(-one.value, -one.high, -one.low) for one in (expected, current))
    value = expected.value - current.value
    down = sqrt(_square(expected.value - expected.low) + _square(current.high - current.value))
    up = sqrt(_square(expected.high - expected.value) + _square(current.value - current.low))
    return Interval(value, value - down, value + up)


def _square(distance: float) -> float:
    """Return the square; a bootstrap limit on the wrong side of its estimate counts as no distance."""
    return max(distance, 0.0) ** 2 if isfinite(distance) else float("nan")
