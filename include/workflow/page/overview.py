"""What the page shows, read from run folders, the signal tables and the specs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from include.specs import Catalogue, ModelSpec, Platform
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder, runs
from include.store.signals import RetrainingRequest, SignalStore, Window

Outcome = Literal["done", "rejected", "failed", "unfinished"]

LAST_STEP = {
    "automl_pipeline": "register",
    "model_training": "register",
    "model_retraining": "register",
    "model_deployment": "promote",
    "model_monitoring": "decide",
    "feature_materialization": "materialize",
}
"""Pipeline → the step that ends it when all goes well."""
WINDOWS = 16
READERS = 8
"""Results that are read side by side: each is a request where the artifacts are far away."""
PATIENCE_SECONDS = 5.0
"""How long a page waits for an artifact store that is away; a person sooner wants to know."""
_STAMP = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d)-?(\d\d)-?(\d\d)")


@dataclass(frozen=True)
class Run:
    """One run of a pipeline, and how it ended."""

    model: str
    pipeline: str
    name: str
    outcome: Outcome
    message: str
    started: datetime
    ended: datetime
    results: tuple[Result, ...] = ()


@dataclass(frozen=True)
class Versions:
    """The registry's aliases of a model; None where no version has the alias."""

    champion: str | None = None
    challenger: str | None = None


@dataclass(frozen=True)
class ModelView:
    """Everything the page says of one model."""

    spec: ModelSpec
    versions: Versions
    runs: list[Run] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    requests: list[RetrainingRequest] = field(default_factory=list)

    @property
    def open_requests(self) -> list[RetrainingRequest]:
        """The retrainings that were asked for and have not ended."""
        return [request for request in self.requests if request.outcome is None]


def judge(pipeline: str, results: Iterable[Result]) -> tuple[Outcome, str]:
    """Return how a run ended, and the sentence that says why.

    A failure outweighs a rejection: what came before it says nothing about what it would have been.
    """
    ordered = sorted(results, key=lambda result: result.ended)
    for status in ("failed", "rejected"):
        found = next((result for result in ordered if result.status == status), None)
        if found is not None:
            return found.status, f"{found.step}: {found.message}"
    final = next((result for result in ordered if result.step == LAST_STEP.get(pipeline)), None)
    if final is not None:
        return "done", final.message
    return "unfinished", f"after {ordered[-1].step}: {ordered[-1].message}" if ordered else ""


def recent_runs(store: ArtifactStore, model: str, each: int) -> list[Run]:
    """Return the latest runs of a model, ``each`` of every pipeline, newest first.

    Run names hold the time at which Airflow made the run; only folders that may be among the latest are opened.
    """
    by_pipeline: dict[str, list[str]] = {}
    for name in runs(store, model):
        by_pipeline.setdefault(name.partition(".")[0], []).append(name)
    chosen = [
        name
        for pipeline in LAST_STEP
        for name in sorted(by_pipeline.get(pipeline, []), key=_stamp, reverse=True)[:each]
    ]
    found = [run for name in chosen if (run := read_run(store, model, name)) is not None]
    return sorted(found, key=lambda run: run.started, reverse=True)


def read_run(store: ArtifactStore, model: str, name: str) -> Run | None:
    """Return one run, or None when none of its steps has left a result."""
    folder = RunFolder(store, model, name)
    tasks = store.folders(f"runs/{model}/{name}")
    with ThreadPoolExecutor(READERS) as pool:
        results = sorted(filter(None, pool.map(folder.find, tasks)), key=lambda result: result.started)
    if not results:
        return None
    pipeline = name.partition(".")[0]
    outcome, message = judge(pipeline, results)
    ended = max(result.ended for result in results)
    return Run(model, pipeline, name, outcome, message, results[0].started, ended, tuple(results))


def view(platform: Platform, spec: ModelSpec, versions: Versions, each: int = 1) -> ModelView:
    """Return what the page says of one model; ``each`` runs of every pipeline."""
    signals = SignalStore(platform)
    return ModelView(
        spec=spec,
        versions=versions,
        runs=recent_runs(ArtifactStore(platform.artifacts_uri, PATIENCE_SECONDS), spec.name, each),
        windows=signals.windows(spec.name, last=WINDOWS),
        requests=signals.requests(spec.name),
    )


def views(platform: Platform, catalogue: Catalogue, aliases: dict[str, Versions]) -> Sequence[ModelView]:
    """Return every model whose spec is sound, by name."""
    return [view(platform, spec, aliases.get(name, Versions())) for name, spec in sorted(catalogue.specs.items())]


def _stamp(run: str) -> tuple[str, str]:
    found = _STAMP.search(run)
    return ("".join(found.groups()) if found else "9", run)
