"""What a variant did since the current revision of its route: the evidence that a release looks at."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from include.serving.observability import metrics
from include.store.packages import Manifest

SAMPLES = 10_000


class VariantStatistics:
    """Counts of one variant, kept without a lock: a rare lost increment matters less than a faster request.

    ``requests``, ``errors`` and ``positives`` count rows, so that a rate means the same for single rows and batches;
    the latency is taken once a request, over the last `SAMPLES` of them.
    """

    def __init__(self, model: str, version: str, variant: str, manifest: Manifest) -> None:
        self.version = version
        self.requests = self.errors = self.positives = self._next = 0
        self._positive = manifest.classes[1] if manifest.task == "binary" and manifest.classes else None
        self._latencies = array("d")
        self.tally = metrics.tally(model, version, variant, self._positive is not None)

    def answered(self, outputs: Sequence[dict[str, Any]], latency_ms: float) -> None:
        """Count the answers of one request."""
        positives = 0
        if self._positive is not None:
            positives = sum(output["label"] == self._positive for output in outputs)
        self._count(len(outputs), positives, latency_ms)

    def answered_one(self, output: dict[str, Any], latency_ms: float) -> None:
        """Count the answer of a request with one row."""
        self._count(1, self._positive is not None and output["label"] == self._positive, latency_ms)

    def _count(self, rows: int, positives: int, latency_ms: float) -> None:
        self.requests += rows
        self.positives += positives
        if len(self._latencies) < SAMPLES:
            self._latencies.append(latency_ms)
        else:
            self._latencies[self._next] = latency_ms
            self._next = (self._next + 1) % SAMPLES
        self.tally.answered += rows
        self.tally.positive += positives
        self.tally.observe(latency_ms / 1000)

    def failed(self, rows: int) -> None:
        """Count rows that this variant should have answered and did not."""
        self.requests += rows
        self.errors += rows
        self.tally.failed += rows

    def as_counts(self) -> Counts:
        """Return the counts as they are, to be merged with those of other workers."""
        positives = self.positives if self._positive is not None else None
        return Counts(self.version, self.requests, self.errors, positives, list(self._latencies))

    def as_dict(self) -> dict[str, Any]:
        """Return what this worker saw as JSON-ready values."""
        return self.as_counts().as_dict()


class Counts(msgspec.Struct):
    """What one variant did in one worker.

    Attributes:
        positives: rows that got the positive class; None but for binary models.
        latencies: of the last `SAMPLES` requests, in milliseconds.
    """

    version: str
    requests: int
    errors: int
    positives: int | None
    latencies: list[float]

    def __add__(self, other: Counts) -> Counts:
        """Return what both workers did together."""
        positives = None if self.positives is None else self.positives + (other.positives or 0)
        return Counts(
            self.version, self.requests + other.requests, self.errors + other.errors, positives,
            self.latencies + other.latencies,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-ready values, quantiles instead of latencies."""
        ordered = sorted(self.latencies)
        return {
            "version": self.version,
            "requests": self.requests,
            "errors": self.errors,
            "latency_ms": {name: _quantile(ordered, q) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
            "positives": self.positives,
        }


def _quantile(ordered: list[float], q: float) -> float | None:
    """Return the empirical quantile (inverse of the distribution function), or None of nothing."""
    if not ordered:
        return None
    return round(ordered[min(int(q * len(ordered)), len(ordered) - 1)], 3)
