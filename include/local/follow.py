"""Follow a DAG run and tell what its steps did, a line each, as they end."""

from __future__ import annotations

import time
from datetime import datetime

from rich.console import Console

from include.local.airflow_api import ENDED, AirflowApi, DagRun, TaskState
from include.specs import FactoryError, Platform
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder, run_name

MARKS = {"done": "[green]✓[/]", "rejected": "[yellow]✗[/]", "failed": "[red]✗[/]"}
POLL = 1.0


class RunFailedError(FactoryError):
    """A DAG run of the shipped run failed, or did not start."""


class Follower:
    """Follow the DAG runs of one model."""

    def __init__(self, platform: Platform, api: AirflowApi, model: str, console: Console) -> None:
        self.platform, self.api, self.model, self.console = platform, api, model, console

    def folder(self, run: DagRun) -> RunFolder:
        """Return the run folder of a DAG run."""
        name = run_name(run.dag_id.split(".", 1)[1], run.run_id)
        return RunFolder(ArtifactStore.of(self.platform), self.model, name)

    def wait_for_dag(self, dag_id: str, timeout: float = 120) -> None:
        """Return when Airflow knows the DAG; a new spec is picked up within seconds.

        Raises:
            RunFailedError: it did not appear; the message holds Airflow's import errors.
        """
        deadline = time.monotonic() + timeout
        while dag_id not in self.api.dag_ids():
            if time.monotonic() > deadline:
                errors = "\n".join(self.api.import_errors()) or "no import error; read the DAG processor's log"
                raise RunFailedError(f"Airflow does not know {dag_id} after {timeout:g} s:\n{errors}")
            time.sleep(POLL)

    def wait_for_run(self, dag_id: str, since: datetime, timeout: float = 180) -> DagRun:
        """Return the first run of ``dag_id`` that began after ``since``: one that nobody started by hand."""
        deadline = time.monotonic() + timeout
        while True:
            runs = [run for run in self.api.runs(dag_id) if run.run_after >= since]
            if runs:
                return runs[-1]
            if time.monotonic() > deadline:
                raise RunFailedError(
                    f"no run of {dag_id} began within {timeout:g} s; look at {self.api.url}/dags/{dag_id}"
                )
            time.sleep(POLL)

    def follow(self, run: DagRun) -> dict[str, Result]:
        """Tell each task as it ends, and return the results by task once the run has ended.

        Raises:
            RunFailedError: the run failed; the message is that of the step that failed.
        """
        self.console.print(f"[bold]{run.dag_id}[/] [dim]{run.run_id} · {self.api.run_url(run)}[/]")
        told: set[tuple[str, int]] = set()
        folder = self.folder(run)
        while True:
            run = self.api.run(run.dag_id, run.run_id)
            tasks = self.api.tasks(run)
            for task in sorted((t for t in tasks if t.ended), key=lambda t: t.ended or run.run_after):
                if (task.task_id, task.attempt) not in told and task.state in ("success", "failed", "skipped"):
                    told.add((task.task_id, task.attempt))
                    self._tell(task, folder)
            if run.state in ENDED:
                break
            time.sleep(POLL)
        names = [task.task_id.rsplit(".", 1)[-1] for task in tasks]
        results = {name: result for name in names if (result := folder.find(name)) is not None}
        if run.state == "failed":
            reasons = [f"{r.step}: {r.message}" for r in results.values() if r.status == "failed"]
            raise RunFailedError(
                f"{run.dag_id} failed; {'; '.join(reasons) or 'read its tasks logs'} ({self.api.run_url(run)})"
            )
        return results

    def _tell(self, task: TaskState, folder: RunFolder) -> None:
        name = task.task_id.rsplit(".", 1)[-1]
        result = folder.find(name)
        if result is None or task.started is None or task.ended is None:
            return
        seconds = (task.ended - task.started).total_seconds()
        self.console.print(f"  {MARKS[result.status]} {name:<16} {seconds:5.1f} s  ", end="")
        self.console.print(result.message, markup=False, highlight=False)
