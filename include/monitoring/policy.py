"""When to train again: k of the last n windows of the current champion, no oftener than the cooldown allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.specs.base import format_duration
from include.specs.operation import Retraining
from include.store.signals import RetrainingRequest, Window

CALLS_FOR_TRAINING = ("drift", "degradation")
"""Signals that new training can answer. Broken input (``quality``) is mended at its source, not learnt."""


@dataclass(frozen=True)
class Decision:
    """Whether to train again, and why.

    Attributes:
        reason: one sentence for a person.
        counted: the windows that were looked at, oldest first.
        raised: those of them that call for training.
    """

    retrain: bool
    reason: str
    counted: tuple[Window, ...] = ()
    raised: tuple[Window, ...] = field(default=())

    @property
    def window_start(self) -> datetime:
        """Start of the latest window that calls for training: what a request is known by."""
        return self.raised[-1].start

    def evidence(self) -> dict[str, Any]:
        """Return what the decision rests on, JSON-ready: where drift began, and what each window raised."""
        return {
            "began": self.raised[0].start.isoformat() if self.raised else None,
            "windows": [
                {"start": window.start.isoformat(), "rows": window.rows, "signals": window.signals}
                for window in self.counted
            ],
            "drifted": sorted({column for window in self.raised for column in window.evidence.get("drifted", [])}),
        }


def decide(
    windows: Sequence[Window], requests: Sequence[RetrainingRequest], champion: str, policy: Retraining
) -> Decision:
    """Decide whether to train again.

    Only windows with a verdict on the current champion count: what an older version met was answered by its successor.

    Args:
        windows: the model's analysed windows, oldest first.
        requests: the model's retraining requests, oldest first.
        champion: version of the current champion.
        policy: the spec's retraining part.
    """
    counted = tuple(w for w in windows if w.version == champion and w.evidence.get("judged"))[-policy.n :]
    raised = tuple(window for window in counted if set(CALLS_FOR_TRAINING) & set(window.signals))
    figure = f"{len(raised)} of the last {len(counted)} windows of version {champion} call for training"
    if len(raised) < policy.k:
        return Decision(False, f"{figure}; {policy.k} of {policy.n} are needed", counted, raised)
    obstacle = _obstacle(raised[-1], requests, policy)
    if obstacle is not None:
        return Decision(False, f"{figure}, but {obstacle}", counted, raised)
    return Decision(True, figure, counted, raised)


def _obstacle(latest: Window, requests: Sequence[RetrainingRequest], policy: Retraining) -> str | None:
    """Return why training is not asked for although the signals call for it, or None."""
    if not policy.enabled:
        return "retraining is switched off (retraining.enabled); start model_retraining by hand if you agree"
    if not requests:
        return None
    last = max(requests, key=lambda request: request.window_start)
    if any(request.outcome is None for request in requests):
        return "an earlier request is still open; if its run got lost, start model_retraining by hand"
    if latest.start <= last.window_start:
        return f"training was asked for because of them before, and ended as {last.outcome}"
    if latest.start - last.window_start < policy.cooldown:
        return f"the last request is less than {format_duration(policy.cooldown)} of event time ago (cooldown)"
    return None


def failures_in_a_row(requests: Sequence[RetrainingRequest]) -> int:
    """Return how many of the latest closed retrainings, one after the other, gave no new version."""
    failures = 0
    for request in sorted(requests, key=lambda request: request.id, reverse=True):
        if request.outcome == "registered":
            break
        failures += request.outcome is not None
    return failures
