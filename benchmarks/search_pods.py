"""Measure what sharing a search brings: ``make bench-search`` (OPTIONS=--help).

The same number of trials, by 1, 2 and 4 workers, each started by the command line that Airflow's task starts: as a
process here, or as a pod where FACTORY_RUNTIME=kubernetes. Time runs from the start of the workers to the end of the
last one: a pod's own start is in it. What comes before (snapshot, validation, preparation) and after (the refit) is the
same however many there are, and is not in it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from include.specs import ROOT, ModelSpec, load_platform, load_spec
from include.steps.kernel import Call, execute
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder, place_of

PIPELINE = "automl_pipeline"
SPEC = """\
name: {name}
owner: benchmarks
data:
  source: {{type: dataset, name: churn_simulated}}
  id: customer_id
  time: observed_at
  quality: {{propose: false}}
problem: {{type: binary, target: churned}}
search: {{budget: 3600s, max_trials: {trials}, folds: 4, parallel: 1, workers: {workers}}}
"""


class Worker(Protocol):
    """A worker that was started."""

    def wait(self) -> None:
        """Wait until it has ended."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(frozen=True)
class Process:
    """A worker beside this process."""

    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait until it has ended; its result says how."""
        self.process.wait()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Pod:
    """A worker in a pod."""

    api: Any
    namespace: str
    name: str

    def wait(self) -> None:
        """Wait until it has ended; its result says how."""
        while self.phase() not in ("Succeeded", "Failed"):
            time.sleep(0.5)

    def phase(self) -> str:
        """Return Pending, Running, Succeeded or Failed."""
        return str(self.api.read_namespaced_pod(self.name, self.namespace).status.phase)

    def kill(self) -> None:
        """Delete it without grace, as a lost node does."""
        self.api.delete_namespaced_pod(self.name, self.namespace, grace_period_seconds=0)


@dataclass(frozen=True)
class Run:
    """One training run, up to where the workers begin.

    Attributes:
        spec: the model, with as many workers as it names.
        name: of the run folder.
    """

    spec: ModelSpec
    name: str = field(default_factory=lambda: f"{PIPELINE}.{uuid.uuid4().hex[:8]}")

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return RunFolder(ArtifactStore.of(load_platform()), self.spec.name, self.name)

    def step(self, name: str) -> Result:
        """Run a step here."""
        result = execute(Call(name, name, self.spec.name, PIPELINE, self.name, {"force": True}), load_platform())
        if result.status != "done":
            raise SystemExit(f"{name} is {result.status}: {result.message}")
        return result

    def prepare(self) -> None:
        """Leave the prepared rows in the artifact store."""
        for name in ("snapshot", "validate", "prepare"):
            self.step(name)

    def result(self, place: int) -> Result:
        """Return what the worker at ``place`` left."""
        return self.folder.result(place_of("search_worker", place))

    def process(self, place: int) -> Process:
        """Start a worker as the process runtime does."""
        command = [sys.executable, *self._call(place).arguments()]
        return Process(
            subprocess.Popen(self._rendered(command), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def pod(self, place: int, api: Any) -> Pod:
        """Start a worker as the pod runtime does: the same pod, made without Airflow."""
        from include.workflow.pods.build import pod_operator

        platform = load_platform()
        task = pod_operator(self.spec, platform.kubernetes, self._call(place), task_id="search_worker")
        task.arguments = self._rendered(task.arguments)
        task.labels = {**task.labels, "model-factory/run": self.name}
        wanted = task.build_pod_request_obj()
        wanted.metadata.name = f"{self.spec.name}-{place}-{uuid.uuid4().hex[:6]}".replace("_", "-")
        api.create_namespaced_pod(platform.kubernetes.namespace, wanted)
        return Pod(api, platform.kubernetes.namespace, wanted.metadata.name)

    def _call(self, place: int) -> Any:
        from include.workflow.command import StepCall

        return StepCall(self.spec.name, PIPELINE, "search_worker", "search_worker").at(place)

    def _rendered(self, arguments: list[str]) -> list[str]:
        """Return the command line with what Airflow puts in at run time."""
        values = {"--run": self.name, "--params": "{}"}
        return [values.get(before, text) for before, text in zip(["", *arguments], arguments, strict=False)]


def measure(run: Run, start: Callable[[int], Worker]) -> tuple[float, list[Result]]:
    """Return the seconds from the start of all workers to the end of the last one, and what they left."""
    places = range(1, (run.spec.search.workers or 1) + 1)
    began = time.monotonic()
    workers = [start(place) for place in places]
    for worker in workers:
        worker.wait()
    return time.monotonic() - began, [run.result(place) for place in places]


def starter(run: Run) -> Callable[[int], Worker]:
    """Return what starts the worker at a place, in the runtime that the platform names."""
    platform = load_platform()
    if platform.runtime == "process":
        return run.process
    from kubernetes import client, config

    config.load_kube_config(config_file=platform.kubernetes.config_file)
    api = client.CoreV1Api()
    return lambda place: run.pod(place, api)


def main() -> None:
    """Print a line a number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--trials", type=int, default=24, help="of all workers together")
    options = parser.parse_args()
    print(f"{load_platform().runtime}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.trials} trials")
    print(f"{'workers':>7} {'seconds':>8} {'trials of each':>20}")
    with tempfile.TemporaryDirectory(prefix="factory-bench-") as folder:
        os.environ["FACTORY_MODELS_DIR"] = folder
        for workers in options.workers:
            name = f"bench{workers}"
            Path(folder, f"{name}.yaml").write_text(SPEC.format(name=name, trials=options.trials, workers=workers))
            run = Run(load_spec(name))
            run.prepare()
            seconds, results = measure(run, starter(run))
            shares = ", ".join(str(result.values["trials"]) for result in results)
            print(f"{workers:>7} {seconds:8.1f} {shares:>20}", flush=True)


if __name__ == "__main__":
    main()
