"""Whether a challenger does well enough to go on: bounds on errors and latency, and the spec's experiment. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from include.experiments.sequential import Comparison, compare_proportions
from include.release.target import VariantStatistics
from include.specs.operation import Experiment, Release

SURE_ERRORS = 5
"""This many errors, at a rate above the bound, end a step before its time is over."""


@dataclass(frozen=True)
class Counts:
    """Rows that an arm of the experiment was asked for since the release began, over all its steps."""

    requests: int = 0
    errors: int = 0
    positives: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(self.requests + other.requests, self.errors + other.errors, self.positives + other.positives)

    def proportion(self, experiment: Experiment) -> tuple[int, int]:
        """Return what the experiment counts, and out of how many: errors of all requests, positives of the answers."""
        if experiment.metric == "error_rate":
            return self.errors, self.requests
        return self.positives, self.requests - self.errors

    @classmethod
    def of(cls, statistics: VariantStatistics | None) -> Counts:
        """Return the counts of a variant; none for one that is not there."""
        if statistics is None:
            return cls()
        return cls(statistics.requests, statistics.errors, statistics.positives or 0)


def objection(release: Release, challenger: VariantStatistics, baked: bool) -> str | None:
    """Return why the challenger may not go on, by its own statistics, or None.

    Args:
        release: the bounds.
        challenger: what it did in this step.
        baked: the step's time is over. Before, only errors that leave no doubt are held against it.
    """
    requests, errors = challenger.requests, challenger.errors
    rate = errors / requests if requests else 0.0
    if rate > release.max_error_rate and (baked or errors >= SURE_ERRORS):
        return (
            f"{errors} of {requests} requests failed ({rate:.1%}); "
            f"the bound is {release.max_error_rate:.1%} (release.max_error_rate)"
        )
    p95 = challenger.latency_ms.get("p95")
    if baked and p95 is not None and p95 > release.max_latency_ms:
        return (
            f"its latency is {p95:.1f} ms (p95 of {requests} requests); "
            f"the bound is {release.max_latency_ms:g} ms (release.max_latency_ms)"
        )
    return None


@dataclass(frozen=True)
class Finding:
    """What the experiment says so far.

    Attributes:
        objection: why the challenger is to be rolled back, or None.
    """

    metric: str
    comparison: Comparison
    champion: Counts
    challenger: Counts
    objection: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return asdict(self)


def compare(experiment: Experiment, champion: Counts, challenger: Counts) -> Finding:
    """Compare the arms; call it as often as you like while the release runs.

    The counts are those of the whole release, so that the false-alarm rate holds for all its steps together. The
    challenger is objected to once the always-valid interval lies beyond ``max_difference``: above it for errors, on
    either side for positives.
    """
    arms = [arm.proportion(experiment) for arm in (champion, challenger)]
    comparison = compare_proportions(*arms[0], *arms[1], alpha=experiment.alpha)
    bound = experiment.max_difference
    beyond = comparison.low > bound or (experiment.metric == "positive_rate" and comparison.high < -bound)
    reason = (
        f"its {experiment.metric} differs from the champion's by {comparison.difference:+.1%} "
        f"(always-valid {1 - experiment.alpha:.0%} interval {comparison.low:+.1%} to {comparison.high:+.1%}); "
        f"the bound is {bound:.1%} (experiment.max_difference)"
    )
    return Finding(experiment.metric, comparison, champion, challenger, reason if beyond else None)
