"""Where a step runs: a process or a pod, as the platform says. Nothing else in a pipeline differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

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
    known = STEPS[name]
    kwargs = {"task_id": call.task, "task_display_name": title or known.title, "doc_md": known.doc, **kwargs}
    platform = load_platform()
    if platform.runtime == "process":
        return StepOperator(call=call, mends=mends, **kwargs)
    from include.workflow.pod import pod_operator

    return pod_operator(spec, platform.kubernetes, call, mends, **kwargs)
