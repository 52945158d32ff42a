"""What a step is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.specs import ModelSpec, Platform, Problem, SpecError
from include.specs.base import Spec
from include.store.artifacts import ArtifactStore
from include.store.runs import MissingResultError, Result, RunFolder

P = TypeVar("P", bound=Spec)


@dataclass(frozen=True)
class Outcome:
    """What a step function returns; the kernel turns it into the step's `Result`.

    Attributes:
        message: one sentence for a person.
        values: small JSON-ready results.
        links: title → URL, shown as buttons on the task.
        rejected: True when a gate said no: the run ends cleanly and nothing is promoted.
    """

    message: str
    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    rejected: bool = False


@dataclass(frozen=True)
class StepContext:
    """What a step is given.

    Attributes:
        step: the step's name in the catalogue.
        task: the name under which it runs here and under which its folder is kept; differs from ``step`` where a
            pipeline runs a step several times (``canary_10``, ``canary_50``).
        pipeline: the pipeline's name, such as ``automl_pipeline``.
        run: the run folder's name.
        work: an empty local folder; what the step leaves in it becomes its artifacts.
    """

    spec: ModelSpec
    platform: Platform
    step: str
    task: str
    pipeline: str
    run: str
    params: Mapping[str, Any]
    work: Path
    resources: ExitStack

    @cached_property
    def store(self) -> ArtifactStore:
        """The artifact store."""
        return ArtifactStore.of(self.platform)

    @cached_property
    def folder(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.store, self.spec.name, self.run)

    def result(self, task: str) -> Result:
        """Return the result of an earlier task of this run.

        Raises:
            MissingResultError: the task left no result, or failed; the message says why.
        """
        result = self.folder.result(task)
        if result.status == "failed":
            raise MissingResultError(f"task '{task}' of run '{self.run}' failed: {result.message}; run it again first")
        return result

    def values(self, task: str) -> dict[str, Any]:
        """Return the values of an earlier task of this run."""
        return self.result(task).values

    def path(self, task: str, artifact: str, run: str | None = None) -> Path:
        """Return a local, read-only path of an artifact of an earlier task, of this run or of another of this model.

        Raises:
            ArtifactError: there is no such artifact.
        """
        folder = self.folder if run is None else RunFolder(self.store, self.spec.name, run)
        return self.resources.enter_context(self.store.local(folder.path(task, artifact)))

    def parse(self, params: type[P]) -> P:
        """Return the run's parameters as ``params``; those of other steps are left alone.

        Raises:
            SpecError: a parameter has a wrong value.
        """
        known = {key: value for key, value in self.params.items() if key in params.model_fields and value is not None}
        try:
            return params.model_validate(known)
        except ValidationError as error:
            raise SpecError(
                [
                    Problem(
                        f"parameter {'.'.join(map(str, item['loc']))}", item["msg"], "correct it in the trigger form"
                    )
                    for item in error.errors()
                ]
            ) from error


StepFunction = Callable[[StepContext], Outcome]
