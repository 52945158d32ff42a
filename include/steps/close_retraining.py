"""Write down how a retraining ended, and flag a model for retirement whose retraining keeps failing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from include.monitoring.policy import failures_in_a_row
from include.registry.models import Registry
from include.steps.context import Outcome, StepContext
from include.store.signals import SignalStore

TASKS = ("check", "snapshot", "validate", "prepare", "search", "evaluate", "report", "gate", "register")
"""The tasks of a training pipeline, in order."""
RETIREMENT = "factory.retirement"


def run(context: StepContext) -> Outcome:
    """Close the requests that this run answers; runs last, whatever became of the other tasks."""
    spec, signals = context.spec, SignalStore(context.platform)
    results = [result for task in TASKS if (result := context.folder.find(task)) is not None]
    began = min((result.started for result in results), default=datetime.now(UTC))
    outcome = "failed"
    if any(result.step == "register" and result.status == "done" for result in results):
        outcome = "registered"
    elif any(result.status == "rejected" for result in results):
        outcome = "rejected"
    answered = [r for r in signals.requests(spec.name) if r.outcome is None and r.requested_at < began]
    for request in answered:
        signals.close_request(request.id, outcome)
    failures = failures_in_a_row(signals.requests(spec.name))
    values: dict[str, Any] = {"outcome": outcome, "failures_in_row": failures, "flagged": False}
    if failures < spec.retraining.retire_after:
        return Outcome(f"retraining ended: {outcome}; {len(answered)} requests closed", values)
    registry = Registry(context.platform)
    champion = registry.get(spec.name, "champion")
    if champion is not None:
        registry.tag(champion, RETIREMENT, "flagged")
    message = (
        f"{failures} retrainings in a row gave no new version: '{spec.name}' is flagged for retirement; "
        "look at their gate reports, then change the spec or the data, or take the model out of service"
    )
    return Outcome(message, values | {"flagged": champion is not None})
