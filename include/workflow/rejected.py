"""The task that tells a rejected run from a failed one: it runs exactly when a step or a person said no."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

from include.store.runs import Result, RunFolder
from include.workflow.command import StepCall
from include.workflow.result import folder_of


class RejectedOperator(BaseOperator):
    """Say which step rejected the run, and why. Where a person did, keep it in the run folder as a step would.

    Attributes:
        call: names the run; its task is this one's.
        asked: the tasks that can reject the run, in their order.
        approval: the task where a person is asked, if there is one.
    """

    def __init__(self, *, call: StepCall, asked: Sequence[str], approval: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.call, self.asked, self.approval = call, tuple(asked), approval

    def execute(self, context: Any) -> dict[str, Any]:
        """Return the task that rejected the run, and its message."""
        folder = folder_of(self.call, context)
        for task in self.asked:
            found = folder.find(task)
            if found is not None and found.status == "rejected":
                self.log.warning("REJECTED by '%s': %s", task, found.message)
                return {"task": task, "message": found.message}
        message = _by_a_person(context, self.approval)
        self._keep(folder, message)
        self.log.warning("REJECTED: %s", message)
        return {"task": self.approval or self.task_id, "message": message}

    def _keep(self, folder: RunFolder, message: str) -> None:
        now = datetime.now(UTC)
        result = Result(
            model=self.call.model,
            pipeline=self.call.pipeline,
            run=folder.run,
            step=self.call.task,
            status="rejected",
            started=now,
            ended=now,
            message=message,
        )
        with tempfile.TemporaryDirectory() as empty:
            folder.finish(result, Path(empty))


def _by_a_person(context: Mapping[str, Any], approval: str | None) -> str:
    answer = context["ti"].xcom_pull(task_ids=approval) if approval else None
    who = ((answer or {}).get("responded_by_user") or {}).get("name")
    return f"{who} did not approve the release" if who else "a task was skipped by hand"
