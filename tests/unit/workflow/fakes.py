"""A task's surroundings, as far as the operators look at them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.specs import Platform
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder

RUN_ID = "manual__2026-11-20T10:00:00+00:00"
RUN = "automl_pipeline.manual__2026-11-20T10-00-00-00-00"


class TaskInstance:
    """Keeps what an operator pushes, and answers what it asks about other tasks."""

    dag_id = "shop.automl_pipeline"

    def __init__(self, states: dict[str, str] | None = None, answers: dict[str, Any] | None = None) -> None:
        self.states, self.answers = states or {}, answers or {}
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str) -> Any:
        return self.answers.get(task_ids)

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert dag_id == self.dag_id
        return {run_ids[0]: {task: state for task, state in self.states.items() if task in task_ids}}


def task_context(**known: Any) -> dict[str, Any]:
    return {"run_id": RUN_ID, "ti": TaskInstance(**known), "params": {}}


def leave_result(
    platform: Platform,
    work: Path,
    task: str,
    status: str = "done",
    *,
    model: str = "shop",
    run: str = RUN,
    ago: float = 0,
    **more: Any,
) -> Result:
    """Write a step's result into its run folder, as the step would, ``ago`` seconds ago."""
    ended = datetime.now(UTC) - timedelta(seconds=ago)
    result = Result(
        model=model,
        pipeline=run.partition(".")[0],
        run=run,
        step=task,
        status=status,
        started=ended,
        ended=ended,
        **{"message": f"{task} is {status}", **more},
    )
    work.mkdir(parents=True, exist_ok=True)
    RunFolder(ArtifactStore.of(platform), model, run).finish(result, work)
    return result
