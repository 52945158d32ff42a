"""Bootstrap intervals of metrics, and of the difference of two models on the same rows.

BCa intervals (Efron 1987, "Better bootstrap confidence intervals", JASA 82) with the acceleration from a delete-group
jackknife. Rows are drawn without regard to their class: an interval speaks of new rows of the same population, and a
stratified draw would leave out what a changing prevalence does to accuracy, log loss or average precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from include.evaluation.metrics import DEFAULT_THRESHOLD, Array, metric

RESAMPLES = 1000
_LEAST_RESAMPLES = 200
_CELLS = 40_000_000
"""Resamples x rows above which fewer resamples are drawn: intervals of many rows are narrow anyway."""
_CHUNK = 4_000_000
"""Resamples x rows held in memory at a time."""
_GROUPS = 100
"""Groups of the jackknife."""

Statistic = Callable[[Array], Array]
"""Weights of shape (weightings, rows) → values of shape (weightings,)."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its interval; NaN where the estimate is not defined."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Return value, low and high, JSON-ready: what is not defined becomes None."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: float(number) if np.isfinite(number) else None for name, number in named.items()}


@dataclass(frozen=True)
class Scored:
    """What one model answered on some rows.

    Attributes:
        outputs: probabilities or values, shaped as `include.evaluation.metrics.Metric.values` takes them.
        threshold: binary: probability from which the positive class is answered.
    """

    outputs: Array
    threshold: float = DEFAULT_THRESHOLD

    def take(self, rows: Array) -> Scored:
        """Return what it answered on some of the rows: bool, shape (rows,)."""
        return Scored(self.outputs[rows], self.threshold)


def bootstrap_intervals(
    names: Iterable[str],
    target: Array,
    scored: Scored,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    weights: Array | None = None,
) -> dict[str, Interval]:
    """Return the interval of each metric of ``names``; all share their resamples.

    Args:
        names: metrics, as in `include.specs.training.METRICS`.
        target: codes or values, shape (rows,).
        scored: the model's answers on the same rows.
        confidence: such as 0.95.
        resamples: bootstrap resamples; fewer are drawn when there are very many rows.
        seed: of the resampling; the same seed gives the same interval.
        weights: how much each row counts, shape (rows,); a row is drawn with its weight. Once each when None.
    """

    def statistic(name: str) -> Statistic:
        return lambda counts: metric(name).values(target, scored.outputs, counts, scored.threshold)

    statistics = {name: statistic(name) for name in names}
    return _intervals(statistics, len(target), confidence, resamples, seed, weights)


def bootstrap_interval(
    name: str,
    target: Array,
    scored: Scored,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    weights: Array | None = None,
) -> Interval:
    """Return the interval of one metric; arguments as in `bootstrap_intervals`."""
    return bootstrap_intervals([name], target, scored, confidence, resamples, seed, weights)[name]


def paired_bootstrap(
    name: str,
    target: Array,
    candidate: Scored,
    champion: Scored,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
    weights: Array | None = None,
) -> Interval:
    """Return by how much the candidate is better than the champion on the same rows.

    Both models are scored on the same resamples, so what the rows do to both cancels out. Arguments as in
    `bootstrap_intervals`.

    Returns:
        The interval of the difference, turned so that a positive number speaks for the candidate whatever the metric.
    """
    chosen = metric(name)
    sign = 1.0 if chosen.greater_is_better else -1.0

    def statistic(counts: Array) -> Array:
        ours = chosen.values(target, candidate.outputs, counts, candidate.threshold)
        theirs = chosen.values(target, champion.outputs, counts, champion.threshold)
        return sign * (ours - theirs)

    return _intervals({name: statistic}, len(target), confidence, resamples, seed, weights)[name]


def _intervals(
    statistics: dict[str, Statistic],
    rows: int,
    confidence: float,
    resamples: int,
    seed: int,
    weights: Array | None = None,
) -> dict[str, Interval]:
    rng = np.random.default_rng(seed)
    whole = np.ones((1, rows)) if weights is None else np.asarray(weights, dtype=float)[None]
    resamples = max(min(resamples, _CELLS // rows), min(resamples, _LEAST_RESAMPLES))
    drawn: dict[str, list[Array]] = {name: [] for name in statistics}
    for counts in _resampled(rng, rows, resamples):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(counts * whole))
    left_out: dict[str, list[Array]] = {name: [] for name in statistics}
    for counts in _jackknifed(rng, rows):
        for name, statistic in statistics.items():
            left_out[name].append(statistic(counts * whole))
    return {
        name: _bca(float(statistic(whole)[0]), np.concatenate(drawn[name]), np.concatenate(left_out[name]), confidence)
        for name, statistic in statistics.items()
    }


def _resampled(rng: np.random.Generator, rows: int, resamples: int) -> Iterator[Array]:
    """Yield counts of rows drawn with replacement, in chunks of shape (some resamples, rows)."""
    chunk = max(1, _CHUNK // rows)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        cells = rng.integers(rows, size=(count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(cells.ravel(), minlength=count * rows).reshape(count, rows).astype(float)


def _jackknifed(rng: np.random.Generator, rows: int) -> Iterator[Array]:
    """Yield weights that leave one random group of rows out each, in chunks of shape (some groups, rows)."""
    groups = min(_GROUPS, rows)
    group = rng.permutation(rows) % groups
    chunk = max(1, _CHUNK // rows)
    for start in range(0, groups, chunk):
        yield (group[None, :] != np.arange(start, min(start + chunk, groups))[:, None]).astype(float)


def _bca(value: float, drawn: Array, left_out: Array, confidence: float) -> Interval:
    """Return the bias-corrected and accelerated percentile interval (Efron 1987, eqs. 4.1 and 6.6)."""
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if not np.isfinite(value) or not len(drawn):
        return Interval(value, np.nan, np.nan)
    normal = NormalDist()
    below = ((drawn < value).sum() + (drawn == value).sum() / 2) / len(drawn)
    bias = normal.inv_cdf(float(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn))))
    influence = np.nanmean(left_out) - left_out[np.isfinite(left_out)]
    cubed, squared = (influence**3).sum(), (influence**2).sum()
    acceleration = cubed / (6 * squared**1.5) if squared > 0 else 0.0

    def bound(share: float) -> float:
        z = bias + normal.inv_cdf(share)
        at = normal.cdf(bias + z / (1 - acceleration * z))
        return float(np.quantile(drawn, at))

    tail = (1 - confidence) / 2
    return Interval(value, bound(tail), bound(1 - tail))
