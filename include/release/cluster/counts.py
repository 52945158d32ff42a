"""What a pod counted, as its ``/metrics`` say: read, added over pods, and taken since a moment. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from include.release.target import VariantStatistics

PREDICTIONS, SECONDS, POSITIVES = (
    "factory_predictions_total",
    "factory_prediction_seconds_bucket",
    "factory_positive_predictions_total",
)


@dataclass(frozen=True)
class Counts:
    """Counters of one version since a pod started, or since a moment.

    Attributes:
        requests: rows; errors are among them.
        positives: rows of a binary model that got the positive class, else None.
        buckets: requests by upper bound of their latency in seconds (as text), cumulated.
    """

    requests: int = 0
    errors: int = 0
    positives: int | None = None
    buckets: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        known = [one.positives for one in (self, other) if one.positives is not None]
        positives = sum(known) if known else None
        bounds = {**self.buckets, **other.buckets}
        buckets = {bound: self.buckets.get(bound, 0) + other.buckets.get(bound, 0) for bound in bounds}
        return Counts(self.requests + other.requests, self.errors + other.errors, positives, buckets)

    def since(self, before: Counts | None) -> Counts:
        """Return what came after ``before``; all of it when the container was started anew in between."""
        if before is None or self.requests < before.requests:
            return self
        positives = None if self.positives is None else self.positives - (before.positives or 0)
        buckets = {bound: count - before.buckets.get(bound, 0) for bound, count in self.buckets.items()}
        return Counts(self.requests - before.requests, self.errors - before.errors, positives, buckets)

    def quantile(self, q: float) -> float | None:
        """Return the latency (milliseconds) below which the share ``q`` of the requests was answered; None of nothing.

        Within a bucket requests are taken to be spread evenly, as Prometheus' ``histogram_quantile`` does; what lies
        beyond the last bound counts as that bound.
        """
        ordered = sorted((float(bound), count) for bound, count in self.buckets.items())
        total = ordered[-1][1] if ordered else 0
        if not total:
            return None
        lower, below = 0.0, 0
        for bound, count in ordered:
            if count >= q * total and count > below:
                if math.isinf(bound):
                    break
                return round((lower + (bound - lower) * (q * total - below) / (count - below)) * 1000, 3)
            lower, below = (bound, count) if not math.isinf(bound) else (lower, count)
        return lower * 1000

    def statistics(self, name: str, version: str) -> VariantStatistics:
        """Return the counts as a target reports them."""
        latency = {f"p{round(q * 100)}": self.quantile(q) for q in (0.5, 0.95, 0.99)}
        return VariantStatistics(name, version, self.requests, self.errors, latency, self.positives)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values, which `of` reads."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> Counts | None:
        """Return what `as_dict` gave; None of None."""
        return None if values is None else cls(**values)


def read_counts(exposition: str, model: str, version: str) -> Counts:
    """Return what a pod's exposition says of a version; zeros where it says nothing."""
    from prometheus_client.parser import text_string_to_metric_families

    wanted = {"model": model, "version": version}
    found: dict[str, list[tuple[dict[str, str], float]]] = {PREDICTIONS: [], SECONDS: [], POSITIVES: []}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name in found and wanted.items() <= sample.labels.items():
                found[sample.name].append((sample.labels, sample.value))
    outcomes = {outcome: _sum(found[PREDICTIONS], "outcome", outcome) for outcome in ("answered", "failed")}
    bounds = {labels["le"]: _sum(found[SECONDS], "le", labels["le"]) for labels, _ in found[SECONDS]}
    positives = int(sum(value for _, value in found[POSITIVES])) if found[POSITIVES] else None
    return Counts(sum(outcomes.values()), outcomes["failed"], positives, bounds)


def _sum(samples: Iterable[tuple[Mapping[str, str], float]], label: str, value: str) -> int:
    return int(sum(number for labels, number in samples if labels[label] == value))
