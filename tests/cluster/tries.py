"""Run one task of the pod runtime try by try, as Airflow's worker and triggerer do, without an Airflow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tests.unit.workflow.fake_cluster import Store
from tests.unit.workflow.fakes import task_context


def context_of(task: str = "gate", run_id: str = "manual__1") -> dict[str, Any]:
    """Return a task's surroundings; its store outlives the tries."""
    made = task_context()
    ti = made["ti"]
    ti.task_id, ti.map_index, ti.try_number = task, -1, 1
    return {**made, "run_id": run_id, "task_state_store": Store(), "dag": None}


def one_try(make: Callable[[], Any], context: dict[str, Any], seconds: float = 120) -> Any:
    """Return how one try ends; ``make`` gives a fresh operator each time that a worker takes the task up."""
    call, arguments = "execute", ()
    while True:
        try:
            return getattr(make(), call)(context, *arguments)
        except TaskDeferred as deferred:
            call = deferred.method_name
            arguments = (asyncio.run(_event(deferred.trigger, seconds)),)


async def _event(trigger: BaseTrigger, seconds: float) -> Any:
    """Return the payload of the trigger's event, made again from what Airflow would have kept of it."""
    from airflow.sdk.module_loading import import_string

    path, kwargs = trigger.serialize()
    again = import_string(path)(**kwargs)

    async def first() -> TriggerEvent:
        async for event in again.run():
            return event
        raise AssertionError(f"{path} ended without an event")

    return (await asyncio.wait_for(first(), seconds)).payload
