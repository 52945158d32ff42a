"""Hold the snapshot against its expectations; set failing rows aside or reject the run, as the spec says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from include.data.expectations import Rule, SuiteStore, declared, propose
from include.data.profile import profile
from include.data.snapshot import to_parquet
from include.data.validation import Failure, Validation, validate
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url

DOCS = "data_docs/index.html"


def run(context: StepContext) -> Outcome:
    """Leave the clean rows in ``clean.parquet`` and the others, with the reason, in ``quarantine.parquet``."""
    spec, taken = context.spec, context.values("snapshot")
    with context.store.local(taken["path"]) as path:
        frame = pd.read_parquet(path)
    suite = SuiteStore(context.store, spec)
    kept = suite.load() if spec.data.quality.propose else []
    proposed = propose(spec, profile(frame)) if kept is None else kept
    rules, skipped = _applicable([*declared(spec), *proposed], frame, taken["origin"])
    validation = validate(frame, rules, spec.name)
    unlabelled = (
        frame[spec.problem.target].isna().to_numpy() if spec.problem.target in frame else np.zeros(len(frame), bool)
    )
    failing = validation.quarantined(len(frame))
    clean = frame[~(failing | unlabelled)].reset_index(drop=True)
    reason = _rejection(context, validation, int((failing & ~unlabelled).sum()), int((~unlabelled).sum()), len(clean))
    values = {
        "rows": len(clean),
        "quarantined": int(failing.sum()),
        "unlabelled": int(unlabelled.sum()),
        "failed": [str(failure) for failure in validation.failures if failure.rule.consequence != "warn"],
        "warnings": [str(failure) for failure in validation.failures if failure.rule.consequence == "warn"],
        "docs": DOCS,
    }
    _write(context, frame, clean, failing, unlabelled, validation, values | {"rules": len(rules), "skipped": skipped})
    links = {"Data docs": artifact_url(context.platform, spec.name, context.run, context.task, DOCS)}
    if reason:
        return Outcome(reason, values, links, rejected=True)
    if kept is None:
        suite.save(proposed, taken["digest"])
    return Outcome(_summary(values), values, links)


def _applicable(rules: list[Rule], frame: pd.DataFrame, origin: str) -> tuple[list[Rule], list[str]]:
    """Return the rules to run, and the titles of those that do not apply.

    The prediction log holds what callers sent, so it need not have every column of the source; and a column without a
    value has no type.
    """
    kept, skipped = [], []
    for rule in rules:
        absent = origin != "source" and not set(rule.columns) <= set(frame.columns)
        empty = rule.source == "proposed" and any(name in frame and frame[name].isna().all() for name in rule.columns)
        typed = rule.type == "expect_column_values_to_be_in_type_list"
        if absent or (empty and typed):
            skipped.append(rule.title)
        else:
            kept.append(rule)
    return kept, skipped


def _rejection(context: StepContext, validation: Validation, failing: int, labelled: int, clean: int) -> str:
    """Return why the run is rejected, or an empty string."""
    data = context.spec.data
    rejecting = [failure for failure in validation.failures if failure.rejects]
    if rejecting:
        return f"{len(rejecting)} expectations failed: {'; '.join(map(str, rejecting))}; {_way_out(rejecting)}"
    failed = "; ".join(str(failure) for failure in validation.failures if failure.rule.consequence == "quarantine")
    if labelled and failing / labelled > data.quality.max_quarantined:
        share = f"{failing} of {labelled} rows ({failing / labelled:.1%})"
        limit = f"data.quality.max_quarantined ({data.quality.max_quarantined:.1%})"
        return f"{share} failed, more than {limit}: {failed}; correct the data or the expectations"
    if clean < data.min_rows:
        return f"{clean} clean rows are left, fewer than data.min_rows ({data.min_rows}): {failed or 'too few labels'}"
    return ""


def _way_out(failures: list[Failure]) -> str:
    if any(failure.rule.source == "proposed" for failure in failures):
        return "correct the data; if the change is meant, delete the model's suite (docs/data.md)"
    return "correct the data or data.quality.expectations"


def _summary(values: dict[str, Any]) -> str:
    parts = [f"{values['rows']} clean rows"]
    parts += [f"{values['quarantined']} set aside"] if values["quarantined"] else []
    parts += [f"{values['unlabelled']} without a target"] if values["unlabelled"] else []
    parts += [f"{len(values['warnings'])} warnings"] if values["warnings"] else []
    return ", ".join(parts)


def _write(
    context: StepContext,
    frame: pd.DataFrame,
    clean: pd.DataFrame,
    failing: Any,
    unlabelled: Any,
    validation: Validation,
    report: dict[str, Any],
) -> None:
    reasons = pd.Series("", index=frame.index, dtype=object)
    for failure in validation.failures:
        if failure.rule.consequence == "quarantine":
            reasons.iloc[list(failure.rows)] += f"{failure.rule.title}; "
    reasons[unlabelled] += "no target; "
    aside = failing | unlabelled
    quarantine = frame[aside].assign(quarantine_reason=reasons[aside].str.removesuffix("; "))
    (context.work / "clean.parquet").write_bytes(to_parquet(clean))
    (context.work / "quarantine.parquet").write_bytes(to_parquet(quarantine.reset_index(drop=True)))
    (context.work / "validation.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    page = context.work / DOCS
    page.parent.mkdir(parents=True)
    page.write_text(validation.page, encoding="utf-8")
