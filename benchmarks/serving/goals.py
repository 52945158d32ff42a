"""What the model server is held to; single rows, one worker, 16 connections where nothing else is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.serving.result import Result, Seen

SIXTEEN = "1x16"
LIMIT = "bare-asgi"
"""The bare handler that counts: ASGI on the server that ours runs on; the other two are shown beside it."""


@dataclass(frozen=True)
class Goal:
    """A bound and what was measured.

    Attributes:
        bound: the goal, such as ``≥ 12``.
        value: None: a system that it needs was not measured.
        counts: False: shown beside a goal that counts.
    """

    title: str
    bound: str
    value: float | None
    held: bool
    counts: bool = True


def per_second(load: str = SIXTEEN) -> Callable[[Seen], float]:
    """Return a reader of the requests a second under ``load``."""
    return lambda seen: seen.loads[load].per_second


def latency(percentile: str, load: str = SIXTEEN) -> Callable[[Seen], float]:
    """Return a reader of a latency (ms) under ``load``: p50, p95 or p99."""
    return lambda seen: float(getattr(seen.loads[load], percentile))


def goals(result: Result) -> list[Goal]:
    """Return every goal with what ``result`` says of it."""
    return [
        _least("requests/s, ours ÷ MLServer", 12, result.ratio("ours", "mlserver", per_second())),
        _least(
            "requests/s, ours ÷ MLServer, OMP_NUM_THREADS=1",
            12,
            result.ratio("ours", "mlserver-one", per_second()),
            counts=False,
        ),
        _least("requests/s, ours ÷ `mlflow models serve`", 8, result.ratio("ours", "mlflow", per_second())),
        *_beside_the_limit(result),
        *(
            _most(f"p99, ours ÷ {title}", 0.25, result.ratio("ours", name, latency("p99")))
            for name, title in (("mlserver", "MLServer"), ("mlflow", "`mlflow models serve`"), ("bentoml", "BentoML"))
        ),
        _least("requests/s, log on", 1000, result.median("ours-log", per_second())),
        _most("p95 (ms), log on", 10, result.median("ours-log", latency("p95"))),
        _most("100 rows, p95 (ms), 1 connection", 20, result.median("ours", latency("p95", "100x1"))),
        _most("cold start (s)", 2, result.median("ours", lambda seen: seen.cold_start)),
        *(
            _least(f"requests/s, two workers ÷ one, {name}", 1, result.ratio("ours-two", "ours", per_second(load)))
            for load, name in (("1x128", "128 connections"), ("100x16", "100 rows"))
        ),
        _most("failed requests of ours, all loads", 0, _failed(result)),
    ]


def _beside_the_limit(result: Result) -> list[Goal]:
    found = []
    for ours, title, bound in (("ours", "ours", 0.80), ("ours-log", "ours with the log", 0.65)):
        for limit in (LIMIT, "bare-rsgi", "bare-uvicorn"):
            value = result.ratio(ours, limit, per_second())
            found.append(_least(f"requests/s, {title} ÷ {limit}", bound, value, counts=limit == LIMIT))
    return found


def _failed(result: Result) -> float | None:
    ours = [name for name in result.rounds_of if name.startswith("ours")]
    return float(sum(map(result.failed, ours))) if ours else None


def _least(title: str, bound: float, value: float | None, counts: bool = True) -> Goal:
    return Goal(title, f"≥ {bound:g}", value, value is not None and value >= bound, counts)


def _most(title: str, bound: float, value: float | None) -> Goal:
    return Goal(title, f"≤ {bound:g}", value, value is not None and value <= bound)
