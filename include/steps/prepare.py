"""The step that makes a validated table into typed, encoded, split rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from include.features.preparation import Preparation, prepare_rows
from include.specs import ModelSpec
from include.steps.champion import champions_rows
from include.steps.context import Outcome, StepContext


def run(context: StepContext) -> Outcome:
    """Prepare the rows that `validate` let through; leaves ``prepared/`` and ``plan.json``."""
    frame = pd.read_parquet(context.path("validate", "clean.parquet"))
    ordered = bool(context.values("snapshot").get("ordered", False))
    champion = None if ordered or context.spec.data.time else champions_rows(context)
    done = prepare_rows(frame, context.spec, ordered, champion)
    done.prepared.save(context.work / "prepared")
    plan = json.dumps(describe(done, context.spec), indent=2)
    (context.work / "plan.json").write_text(plan, encoding="utf-8")
    return Outcome(_message(done), _values(done))


def describe(done: Preparation, spec: ModelSpec) -> dict[str, Any]:
    """Return what a person should know of the preparation, JSON-ready."""
    return {
        "target": spec.problem.target,
        "fields": [field.model_dump(mode="json") for field in done.schema.fields],
        "rows_set_aside": done.set_aside,
        "held_out": done.split.how,
        **_values(done),
    }


def _values(done: Preparation) -> dict[str, Any]:
    prepared = done.prepared
    return {
        "train_rows": len(prepared.train),
        "test_rows": len(prepared.test),
        "features": [field.name for field in prepared.fields],
        "classes": list(prepared.classes) if prepared.classes is not None else None,
        "dropped": done.schema.dropped,
        "notes": list(done.schema.notes),
        **_base_rate(done),
    }


def _base_rate(done: Preparation) -> dict[str, Any]:
    """Return the share of the positive class, the share of each class, or the mean target, of all rows."""
    prepared = done.prepared
    y = np.concatenate([prepared.train_target, prepared.test_target])
    if prepared.classes is None:
        return {"target_mean": float(y.mean())}
    shares = np.bincount(y, minlength=len(prepared.classes)) / len(y)
    if prepared.task == "binary":
        return {"prevalence": float(shares[1])}
    return {"prevalence": dict(zip(map(str, prepared.classes), shares.tolist(), strict=True))}


def _message(done: Preparation) -> str:
    prepared = done.prepared
    aside = "".join(f"; {count} rows set aside: {reason}" for reason, count in done.set_aside.items())
    return (
        f"{len(prepared.fields)} features; {len(prepared.train)} training and {len(prepared.test)} held-out rows "
        f"({done.split.how}){aside}"
    )
