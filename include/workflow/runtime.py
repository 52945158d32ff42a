"""Where a step runs: a process or a pod, as the platform says. Nothing else in a pipeline differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from include.specs import ModelSpec
from include.specs.platform import load_platform
from include.workflow.command import StepCall
from include.workflow.operator import StepOperator
from include.workflow.stages import STEPS


def step(
    spec: ModelSpec,
    pipeline: str,
    name: str,
    *,
    task: str | None = None,
    title: str | None = None,
    mends: Sequence[str] = (),
    defaults: str = "",
    **kwargs: Any,
) -> BaseOperator:
    """Return the task that runs a step, inside the DAG that is being built.

    Args:
        spec: the model.
        pipeline: the pipeline's name.
        name: the step's name in the catalogue.
        task: the task's id; the step's name when absent.
        title: what the UI calls the task; the step's title when absent.
        mends: run only when one of these tasks failed or rejected the run.
        defaults: see `StepCall`.
        kwargs: arguments of the operator, such as ``outlets``.
    """
    call = StepCall(spec.name, pipeline, name, task or name, defaults)
    shown = {"task_display_name": title or STEPS[name].title, "doc_md": STEPS[name].doc}
    task_of: BaseOperator = _operator(
        spec, call, lambda operator, **known: operator(**known), mends=mends, **{**shown, **kwargs}
    )
    return task_of


def step_at_places(spec: ModelSpec, pipeline: str, name: str, places: int, **kwargs: Any) -> MappedOperator:
    """Return the mapped task that runs a step ``places`` times at the same time.

    Each of them keeps its own folder, ``<name>_1``, ``<name>_2`` …, and bears its place in the UI.
    """

    def mapped(operator: type[BaseOperator], **known: Any) -> MappedOperator:
        return operator.partial(**known).expand(place=list(range(1, places + 1)))

    title = STEPS[name].title
    shown = {
        "task_display_name": title,
        "doc_md": STEPS[name].doc,
        "map_index_template": f"{title} {{{{ task.place }}}}",
    }
    task: MappedOperator = _operator(spec, StepCall(spec.name, pipeline, name, name), mapped, **{**shown, **kwargs})
    return task


def _operator(spec: ModelSpec, call: StepCall, make: Callable[..., Any], **kwargs: Any) -> Any:
    """Return what ``make`` makes of the runtime's operator class and its arguments."""
    platform = load_platform()
    kwargs = {"task_id": call.task, **kwargs}
    if platform.runtime == "process":
        return make(StepOperator, call=call, **kwargs)
    from include.workflow.pods.build import pod_operator
    from include.workflow.pods.operator import StepPodOperator

    return pod_operator(spec, platform.kubernetes, call, make=partial(make, StepPodOperator), **kwargs)
