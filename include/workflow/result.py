"""From a step's result to a task's state: the result manifest is the only truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.specs.platform import load_platform
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder
from include.workflow.command import StepCall

log = logging.getLogger(__name__)


def folder_of(call: StepCall, context: Mapping[str, Any]) -> RunFolder:
    """Return the run folder of the task's run."""
    return RunFolder(ArtifactStore.of(load_platform()), call.model, call.run(context["run_id"]))


def fresh_result(call: StepCall, context: Mapping[str, Any], since: datetime | None) -> Result | None:
    """Return the step's result, unless it was left by an earlier try: what ended before ``since`` proves nothing."""
    found = folder_of(call, context).find(call.task)
    return found if found is not None and (since is None or found.ended >= since) else None


def conclude(call: StepCall, context: Mapping[str, Any], result: Result | None, how: str) -> dict[str, Any]:
    """Give the task the state that the step's result asks for.

    done → the task succeeds; rejected → it is skipped, and with it everything downstream; failed → it fails, for
    good or until the next try.

    Args:
        call: what ran.
        context: Airflow's task context.
        result: the step's result; None when it left no valid one.
        how: how the process or the pod ended, for the message.

    Returns:
        The small result that XCom keeps: status, message, values, links.

    Raises:
        AirflowSkipException: the step rejected the run.
        AirflowFailException: it failed, and running it again is no use.
        AirflowException: it failed, and may succeed when run again; Airflow retries.
    """
    if result is None:
        folder = folder_of(call, context).path(call.task)
        raise AirflowException(
            f"step '{call.task}' ended without a valid result ({how}); what it said last is in the log above, "
            f"what it left is in {folder}"
        )
    if result.status == "failed":
        raise (AirflowException if result.retryable else AirflowFailException)(result.message)
    small = result.model_dump(include={"status", "message", "values", "links"})
    if result.status == "rejected":
        log.warning("REJECTED: %s", result.message)
        context["ti"].xcom_push(key="return_value", value=small)
        raise AirflowSkipException(f"rejected: {result.message}")
    log.info("%s", result.message)
    return small


def skip_without_trouble(call: StepCall, context: Mapping[str, Any], tasks: Sequence[str]) -> None:
    """Skip a task that mends, when none of ``tasks`` failed or rejected the run: there is nothing to mend.

    Raises:
        AirflowSkipException: all is well.
    """
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=list(tasks), run_ids=[context["run_id"]])
    failed = [task for task, state in states.get(context["run_id"], {}).items() if state == "failed"]
    folder = folder_of(call, context)
    rejected = [task for task in tasks if (found := folder.find(task)) and found.status == "rejected"]
    if not failed and not rejected:
        raise AirflowSkipException(f"nothing for '{call.task}' to do: no task failed and none rejected the run")
    log.info("needed because of: %s", ", ".join([*failed, *rejected]))
