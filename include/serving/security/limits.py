"""Rate limits: a token bucket a caller, counted in rows."""

from __future__ import annotations

from math import ceil
from time import monotonic

from include.serving.errors import ServingError
from include.serving.observability import metrics


class Bucket:
    """Fills with ``rate`` tokens a second up to ``burst``; a row costs one token.

    A request of more rows than ``burst`` waits for a full bucket and leaves it in debt: it is not refused for ever, and
    the caller gets ``rate`` rows a second in the long run whatever the size of its requests.

    Args:
        name: whose bucket this is, for metrics and messages.
        rate: rows a second, above 0.
        burst: rows at once, at least 1.
    """

    __slots__ = ("_at", "_tokens", "burst", "name", "rate")

    def __init__(self, name: str, rate: float, burst: float) -> None:
        self.name, self.rate, self.burst = name, rate, burst
        self._tokens, self._at = burst, monotonic()

    def take(self, rows: int) -> None:
        """Take ``rows`` tokens.

        Raises:
            ServingError: 429, which says when there will be enough.
        """
        now = monotonic()
        tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        needed = min(rows, self.burst)
        if tokens < needed:
            self._tokens = tokens
            metrics.RATE_LIMITED.labels(self.name).inc()
            raise self._refusal(needed - tokens)
        self._tokens = tokens - rows

    def _refusal(self, missing: float) -> ServingError:
        seconds = str(max(1, ceil(missing / self.rate)))
        headers = {
            "retry-after": seconds,
            "ratelimit-limit": f"{self.burst:g}",
            "ratelimit-remaining": "0",
            "ratelimit-reset": seconds,
        }
        message = f"more than {self.rate:g} rows a second; come back in {seconds} s"
        return ServingError(429, "rate_limited", message, headers=headers)
