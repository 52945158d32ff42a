"""What Prometheus scrapes: one registry a process, and one exposition of all workers.

Several workers keep their numbers in files of a folder, ``PROMETHEUS_MULTIPROC_DIR``, which outlive them: a worker that
is killed takes no counts with it. What changes with every request is tallied in plain ints (`Tally`) and added here
by a timer.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

FLUSH_SECONDS = 0.5
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
_VARIANT = ("model", "version", "variant")

PREDICTIONS = Counter(
    "factory_predictions", "Rows that a variant answered or failed", (*_VARIANT, "outcome"), registry=REGISTRY
)
POSITIVES = Counter(
    "factory_positive_predictions", "Rows of a binary model that got the positive class", _VARIANT, registry=REGISTRY
)
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add observations by bucket, not cumulated, and their sum; the library has only `observe`."""
        for bucket, number in zip(self._buckets, counts, strict=True):
            if number:
                bucket.inc(number)
        self._sum.inc(total)


SECONDS = BulkHistogram(
    "factory_prediction_seconds",
    "From the whole request to the answer, queue included",
    _VARIANT,
    buckets=BOUNDS,
    registry=REGISTRY,
)
CACHED = Counter(
    "factory_cache_hits", "Rows answered from the prediction cache; a part of those answered", _VARIANT,
    registry=REGISTRY,
)  # fmt: skip
MISSED = Counter(
    "factory_cache_misses", "Rows that were not in the prediction cache, where there is one", _VARIANT,
    registry=REGISTRY,
)  # fmt: skip
WAITING = Gauge(
    "factory_waiting_rows", "Rows that wait for a variant, or are being predicted", _VARIANT, registry=REGISTRY,
    multiprocess_mode="livesum",
)  # fmt: skip
DEADLINES = Counter("factory_deadline_exceeded", "Requests that a model kept too long", _VARIANT, registry=REGISTRY)
RESPONSES = Counter("factory_http_responses", "Responses by status", ("status",), registry=REGISTRY)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 256)
BATCH_ROWS = BulkHistogram(
    "factory_batch_rows", "Rows that were predicted together", buckets=BATCH_BOUNDS, registry=REGISTRY
)
SHADOWS_DROPPED = Counter(
    "factory_shadow_dropped", "Rows that a busy shadow did not see", ("model",), registry=REGISTRY
)
RATE_LIMITED = Counter(
    "factory_rate_limited", "Requests beyond a rate limit, by name of the key", ("caller",), registry=REGISTRY
)
LOADED = Gauge(
    "factory_model_loaded", "1 while a version is in memory", ("model", "version"), registry=REGISTRY,
    multiprocess_mode="livemax",
)  # fmt: skip
SIGNAL = Gauge(
    "factory_signal", "1 while the last monitored window raised it: drift, degradation, quality", ("model", "signal"),
    registry=REGISTRY, multiprocess_mode="mostrecent",
)  # fmt: skip
LOG_BACKLOG = Gauge(
    "factory_log_backlog_bytes", "Spooled bytes that the database does not have yet", registry=REGISTRY,
    multiprocess_mode="mostrecent",
)  # fmt: skip
LOG_DROPPED = Counter("factory_log_dropped", "Records not kept: spool full or disk unwritable", registry=REGISTRY)
LOG_SAMPLED_OUT = Counter("factory_log_sampled_out", "Predictions that the sample leaves out", registry=REGISTRY)
LOG_RESTARTS = Counter("factory_log_writer_restarts", "Times that the log writer had to be started", registry=REGISTRY)


WORKER_RESTARTS = Counter("factory_worker_restarts", "Times that a worker had to be started again", registry=REGISTRY)


class Tally:
    """What one variant did since the last `flush`, in plain numbers; only the event loop touches it."""

    __slots__ = ("_counters", "_counts", "_seconds", "_total", "answered", "cached", "failed", "missed", "positive")

    def __init__(self, labels: tuple[str, str, str], binary: bool = False) -> None:
        self.answered = self.failed = self.cached = self.missed = self.positive = 0
        self._counts, self._total = [0] * (len(BOUNDS) + 1), 0.0
        self._counters = {
            "answered": PREDICTIONS.labels(*labels, "answered"),
            "failed": PREDICTIONS.labels(*labels, "failed"),
            "cached": CACHED.labels(*labels),
            "missed": MISSED.labels(*labels),
        }
        if binary:
            self._counters["positive"] = POSITIVES.labels(*labels)
        self._seconds = SECONDS.labels(*labels)

    def observe(self, seconds: float) -> None:
        """Count one request's latency."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds

    def flush(self) -> None:
        """Add everything to the registry and start anew."""
        for name, counter in self._counters.items():
            if number := getattr(self, name):
                counter.inc(number)
                setattr(self, name, 0)
        if any(self._counts):
            self._seconds.add(self._counts, self._total)
            self._counts, self._total = [0] * (len(BOUNDS) + 1), 0.0


_TALLIES: dict[tuple[str, str, str], Tally] = {}
_RESPONSES: dict[int, int] = {}
_TOGETHER = [0] * (len(BATCH_BOUNDS) + 1)
_TOGETHER_ROWS = [0]
"""Batches of single rows by bucket, and the sum of their rows."""


def tally(model: str, version: str, variant: str, binary: bool) -> Tally:
    """Return the tally of a variant, which outlives its routes as the registry's numbers do."""
    labels = (model, version, variant)
    if labels not in _TALLIES:
        _TALLIES[labels] = Tally(labels, binary)
    return _TALLIES[labels]


def count_response(status: int) -> None:
    """Count a response."""
    _RESPONSES[status] = _RESPONSES.get(status, 0) + 1


def count_together(rows: int) -> None:
    """Count requests of one row each that were predicted together."""
    _TOGETHER[bisect_left(BATCH_BOUNDS, rows)] += 1
    _TOGETHER_ROWS[0] += rows


def flush() -> None:
    """Add what was tallied to the registry; the event loop calls it every `FLUSH_SECONDS` and before an exposition."""
    for one in list(_TALLIES.values()):
        one.flush()
    for status in list(_RESPONSES):
        RESPONSES.labels(str(status)).inc(_RESPONSES.pop(status))
    if _TOGETHER_ROWS[0]:
        BATCH_ROWS.add(_TOGETHER, _TOGETHER_ROWS[0])
        _TOGETHER[:], _TOGETHER_ROWS[0] = [0] * len(_TOGETHER), 0


def exposition() -> bytes:
    """Return the numbers of all workers as Prometheus reads them."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        merged = CollectorRegistry()
        MultiProcessCollector(merged, folder)  # type: ignore[no-untyped-call]
        return generate_latest(merged)
    return generate_latest(REGISTRY)
