"""Run one step: give it its context, publish what it leaves, and write its result last of all."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.specs import FactoryError, ModelSpec, Platform, TemporarilyUnavailableError, load_spec
from include.steps.catalogue import find_step
from include.steps.context import Outcome, StepContext
from include.store.artifacts import ArtifactStore
from include.store.locks import exclusive
from include.store.runs import Result, RunFolder, Status

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """Which step to run, and for which run."""

    step: str
    task: str
    model: str
    pipeline: str
    run: str
    params: Mapping[str, Any]


def execute(call: Call, platform: Platform) -> Result:
    """Run a step and return its result, which is also the last file written to its folder.

    Two processes never work on the same task of the same run: the second waits, and takes the first one's result when
    that ended meanwhile (a worker that was killed, or a machine that was cut off, may leave its step running).
    """
    started = datetime.now(UTC)
    folder = RunFolder(ArtifactStore.of(platform), call.model, call.run)
    with exclusive(platform, f"{call.model}.{call.run}.{call.task}"):
        finished = folder.find(call.task)
        if finished is not None and finished.ended > started and finished.status != "failed":
            log.info("an earlier try of this task ended while this one waited; its result stands")
            return finished
        folder.start(call.task)
        work = Path(tempfile.mkdtemp(prefix=f"factory-{call.task}-"))
        try:
            return _run(call, platform, folder, work, started)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _run(call: Call, platform: Platform, folder: RunFolder, work: Path, started: datetime) -> Result:
    try:
        with ExitStack() as resources:
            context = StepContext(
                spec=_frozen_spec(folder),
                platform=platform,
                step=call.step,
                task=call.task,
                pipeline=call.pipeline,
                run=call.run,
                params=call.params,
                work=work,
                resources=resources,
            )
            outcome = find_step(call.step)(context)
    except FactoryError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all; a traceback would bury it
        retryable = isinstance(error, TemporarilyUnavailableError)
        return _finish(call, folder, work, started, "failed", Outcome(str(error)), retryable)
    except Exception as error:
        log.exception("step '%s' of model '%s' broke", call.step, call.model)
        message = f"step '{call.step}' broke with {type(error).__name__}: {error}; the log above has the traceback"
        return _finish(call, folder, work, started, "failed", Outcome(message), retryable=True)
    return _finish(call, folder, work, started, "rejected" if outcome.rejected else "done", outcome)


def _frozen_spec(folder: RunFolder) -> ModelSpec:
    """Return the spec of this run: read from ``config/`` by its first step and kept, so that an edit changes no run."""
    path = f"runs/{folder.model}/{folder.run}/spec.json"
    if not folder.store.exists(path):
        spec = load_spec(folder.model)
        folder.store.write_bytes(path, spec.model_dump_json(indent=2).encode())
        return spec
    return ModelSpec.model_validate_json(folder.store.read_bytes(path))


def _finish(
    call: Call,
    folder: RunFolder,
    work: Path,
    started: datetime,
    status: Status,
    outcome: Outcome,
    retryable: bool = False,
) -> Result:
    result = Result(
        model=call.model,
        pipeline=call.pipeline,
        run=call.run,
        step=call.task,
        status=status,
        retryable=retryable,
        started=started,
        ended=datetime.now(UTC),
        message=outcome.message,
        values=outcome.values,
        artifacts=sorted(str(file.relative_to(work)) for file in work.rglob("*") if file.is_file()),
        links=outcome.links,
    )
    folder.finish(result, work)
    return result
