"""Keep an immutable copy of the rows that this run learns from."""

from __future__ import annotations

import json
from typing import Any

from include.data.selection import RETRAINING, describe, select
from include.data.snapshot import take
from include.specs.params import TrainingParams
from include.steps.context import Outcome, StepContext


def run(context: StepContext) -> Outcome:
    """Take the snapshot; reject the run when neither data nor spec nor code changed since the newest version."""
    params = context.parse(TrainingParams)
    selection = select(context.spec, context.platform, context.pipeline, params)
    snapshot = take(context.store, context.spec.name, selection.frame)
    values: dict[str, Any] = {
        "digest": snapshot.digest,
        "rows": snapshot.rows,
        "columns": snapshot.columns,
        "path": snapshot.path,
        "first_event": selection.first_event and selection.first_event.isoformat(),
        "last_event": selection.last_event and selection.last_event.isoformat(),
        "origin": selection.origin,
        "ordered": selection.ordered,
    }
    (context.work / "snapshot.json").write_text(json.dumps(values | {"note": selection.note}, indent=2))
    if context.pipeline != RETRAINING and not params.force and (same := _same_version(context, snapshot.digest)):
        message = (
            f"nothing changed since version {same}: data, spec and code are the same; tick 'force' to train anyway"
        )
        return Outcome(message, values, rejected=True)
    note = f"; {selection.note}" if selection.note else ""
    return Outcome(f"{describe(selection)} kept as {snapshot.digest[:12]}{note}", values)


def _same_version(context: StepContext, digest: str) -> int | None:
    """Return the newest version's number when it was made of the same data, spec and code."""
    from include.registry.lineage import code_version, spec_digest
    from include.registry.models import Registry

    versions = Registry(context.platform).versions(context.spec.name)
    made_of = {"snapshot": digest, "spec": spec_digest(context.spec), "code": code_version()}
    if versions and all(versions[0].tags.get(f"factory.{key}") == value for key, value in made_of.items()):
        return versions[0].number
    return None
