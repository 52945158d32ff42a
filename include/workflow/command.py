"""The command line of a step: the one place where the Airflow wing meets the work wing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from include.store.runs import place_of, run_name


def step_params(params: Mapping[str, Any], **defaults: Any) -> str:
    """Return the run's parameters as the JSON object that a step reads; empty ones are left out.

    Args:
        params: what the trigger form, or the conf of the run, says.
        defaults: values for parameters that are empty.
    """
    given = {key: value for key, value in params.items() if value is not None}
    known = {key: value for key, value in defaults.items() if value is not None}
    return json.dumps({**known, **given}, default=str, sort_keys=True)


MACROS = {"run_name": run_name, "step_params": step_params}
"""What the templates below call; every DAG carries these as user-defined macros."""


@dataclass(frozen=True)
class StepCall:
    """Which step a task runs.

    Attributes:
        model: name of the model spec.
        pipeline: name of the pipeline.
        step: the step's name in the catalogue.
        task: the name under which the step runs and its folder is kept.
        defaults: Jinja arguments for `step_params`, such as ``end=dag_run.logical_date``.
    """

    model: str
    pipeline: str
    step: str
    task: str
    defaults: str = ""

    def run(self, dag_run_id: str) -> str:
        """Return the run folder's name."""
        return run_name(self.pipeline, dag_run_id)

    def at(self, place: int | None) -> StepCall:
        """Return the call of the task at one of several places; this call where there is but one."""
        return self if place is None else replace(self, task=place_of(self.task, place))

    def arguments(self) -> list[str]:
        """Return what follows the interpreter on the command line; Airflow renders the templates in it."""
        extra = f", {self.defaults}" if self.defaults else ""
        return [
            "-m",
            "include.steps",
            self.step,
            "--model",
            self.model,
            "--pipeline",
            self.pipeline,
            "--run",
            f"{{{{ run_name('{self.pipeline}', run_id) }}}}",
            "--task",
            self.task,
            "--params",
            f"{{{{ step_params(params{extra}) }}}}",
        ]
