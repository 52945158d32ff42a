"""What became of predictions: the labels and rewards of a feedback body, as records of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from include.serving.errors import ServingError
from include.serving.messages import Feedback, parse_time
from include.store.log_records import LabelRecord, RewardRecord
from include.store.packages import Manifest


def feedback_records(model: str, manifests: Sequence[Manifest], feedback: Feedback) -> list[LabelRecord | RewardRecord]:
    """Return the records of ``feedback`` on ``model``.

    Args:
        model: the model's name.
        manifests: of the versions in memory; a label must suit one of them.
        feedback: the body.

    Raises:
        ServingError: 422 with every problem of every label and reward.
    """
    now = datetime.now(UTC)
    records: list[LabelRecord | RewardRecord] = []
    details: list[dict[str, str]] = []
    for index, item in enumerate(feedback.labels):
        where = f"labels[{index}]"
        problems = [_label_problem(manifest, item.label) for manifest in manifests]
        if all(problems):
            details.append({"where": f"{where}.label", "message": problems[0]})
        observed = _observed(item.observed_at, where, now, details)
        records.append(LabelRecord(item.id, model, item.label, observed))
    code = "invalid_labels" if details else "invalid_rewards"
    for index, reward in enumerate(feedback.rewards):
        observed = _observed(reward.observed_at, f"rewards[{index}]", now, details)
        records.append(RewardRecord(reward.id, model, reward.name, reward.reward, observed))
    if details:
        raise ServingError(422, code, f"feedback on '{model}' cannot be kept", details)
    return records


def _observed(text: str | None, where: str, now: datetime, details: list[dict[str, str]]) -> datetime:
    """Return when something was observed; what cannot be read is added to ``details``."""
    try:
        return parse_time(text, f"{where}.observed_at", now)
    except ServingError as error:
        details += error.details
        return now


def _label_problem(manifest: Manifest, label: Any) -> str:
    """Return why ``label`` cannot be the truth of this model, or nothing."""
    if manifest.classes is None:
        number = isinstance(label, (int, float)) and not isinstance(label, bool)
        return "" if number else "must be a number: this is a regression model"
    if any(label == known and isinstance(label, bool) == isinstance(known, bool) for known in manifest.classes):
        return ""
    shown = ", ".join(msgspec.json.encode(known).decode() for known in manifest.classes[:20])
    return f"is no class of this model; send one of {shown}"
