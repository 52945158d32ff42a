"""Measure what a task costs on top of its step: ``python -m benchmarks.step_overhead DAG_ID RUN_ID``.

It reads one finished DAG run of the stack that FACTORY_* names. A task's seconds are Airflow's, from the worker that
takes it up to its end; a step's are those of its result manifest. The difference is the overhead: two workers that
start and parse the DAG, the pod that is made, scheduled and started, the interpreter with its imports, the triggerer's
look, and the result that is read. Run it on a run of each runtime to compare pod and process.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from include.local.airflow_api import AirflowApi, DagRun
from include.local.environment import stack_secrets
from include.specs import Platform, load_platform
from include.store.artifacts import ArtifactStore
from include.store.runs import RunFolder, run_name


@dataclass(frozen=True)
class Cost:
    """Seconds of one task: Airflow's, and the step's own."""

    step: str
    task: float
    own: float

    @property
    def overhead(self) -> float:
        """What the task took on top of the step."""
        return self.task - self.own


def costs(platform: Platform, api: AirflowApi, run: DagRun) -> list[Cost]:
    """Return what each step of a finished run cost, in the order in which they began."""
    model, _, pipeline = run.dag_id.partition(".")
    folder = RunFolder(ArtifactStore.of(platform), model, run_name(pipeline, run.run_id))
    found = []
    for task in sorted(api.tasks(run), key=lambda one: one.started or run.run_after):
        result = folder.find(task.task_id.rsplit(".", 1)[-1])
        if result is not None and task.started and task.ended:
            own = (result.ended - result.started).total_seconds()
            found.append(Cost(result.step, (task.ended - task.started).total_seconds(), own))
    return found


def table(found: list[Cost]) -> str:
    """Return a line a step, and the median."""
    lines = [f"{'step':<18} {'task s':>8} {'step s':>8} {'overhead s':>11}"]
    lines += [f"{one.step:<18} {one.task:8.1f} {one.own:8.1f} {one.overhead:11.1f}" for one in found]
    lines.append(f"{'median':<18} {'':>8} {'':>8} {statistics.median(one.overhead for one in found):11.1f}")
    return "\n".join(lines)


def main() -> None:
    """Print what the steps of one run cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dag_id")
    parser.add_argument("run_id")
    options = parser.parse_args()
    platform = load_platform()
    password = platform.airflow_password.get_secret_value() or stack_secrets(platform)["airflow_password"]
    api = AirflowApi(platform.airflow_url, platform.airflow_user, password)
    print(table(costs(platform, api, api.run(options.dag_id, options.run_id))))


if __name__ == "__main__":
    main()
