"""Run folders and results: what a step leaves behind, and the only thing that the next step trusts."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.specs.errors import FactoryError
from include.store.artifacts import ArtifactStore, MissingArtifactError

Status = Literal["done", "rejected", "failed"]
RESULT = "result.json"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class MissingResultError(FactoryError):
    """A step has no valid result: it has not run, or it failed."""


class Result(BaseModel):
    """The manifest of a step, written last: small ``values``, and the files it left, listed in ``artifacts``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    pipeline: str
    run: str
    step: str
    status: Status
    retryable: bool = False
    """Failed only: whether running the step again may succeed."""
    started: datetime
    ended: datetime
    message: str = ""
    """One sentence for a person: what was done, why it was rejected, or what went wrong and what to do."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Small results that later steps and the UI read."""
    artifacts: list[str] = Field(default_factory=list)
    """Files that the step left, relative to its folder."""
    links: dict[str, str] = Field(default_factory=dict)
    """Title → URL, shown as buttons on the task (``MLflow run``, ``Gate report`` …)."""


def run_name(pipeline: str, dag_run_id: str) -> str:
    """Return the run folder's name: unique over a model's pipelines, and safe in a path, a URL and a pod label."""
    return f"{pipeline}.{_UNSAFE.sub('-', dag_run_id).strip('-')}"


def place_of(task: str, place: int) -> str:
    """Return the name under which the task at one of several places keeps its folder, such as ``search_worker_2``."""
    return f"{task}_{place}"


class RunFolder:
    """The folder of one run: ``runs/<model>/<run>/<step>/``."""

    def __init__(self, store: ArtifactStore, model: str, run: str) -> None:
        for part in (model, run):
            if not part or _UNSAFE.search(part) or part.startswith("."):
                raise FactoryError(f"'{part}' cannot name a run folder; use letters, digits, '.', '_' and '-'")
        self.store, self.model, self.run = store, model, run

    def path(self, step: str, name: str = "") -> str:
        """Return the store path of a step's folder, or of an artifact inside it."""
        base = f"runs/{self.model}/{self.run}/{step}"
        return f"{base}/{name}" if name else base

    def result(self, step: str) -> Result:
        """Return the result of ``step``.

        Raises:
            MissingResultError: the step left no valid result.
        """
        if (found := self.find(step)) is None:
            raise MissingResultError(
                f"{self.path(step, RESULT)}: step '{step}' of run '{self.run}' left no valid result; run it again"
            )
        return found

    def find(self, step: str) -> Result | None:
        """Return the result of ``step``, or None when it left no valid one."""
        path = self.path(step, RESULT)
        try:
            return Result.model_validate_json(self.store.read_bytes(path))
        except (MissingArtifactError, ValidationError):
            return None

    def start(self, step: str) -> None:
        """Clear what an earlier try of ``step`` left: a retried step starts over."""
        self.store.delete(self.path(step))

    def finish(self, result: Result, work: Path) -> None:
        """Publish the files in ``work``, and last of all the result."""
        for entry in sorted(work.iterdir()):
            self.store.upload(entry, self.path(result.step, entry.name))
        self.store.write_bytes(self.path(result.step, RESULT), result.model_dump_json(indent=2).encode())


def runs(store: ArtifactStore, model: str) -> list[str]:
    """Return the names of the runs of ``model``."""
    return store.folders(f"runs/{model}")
