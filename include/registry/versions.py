"""A registered version, and what the factory writes on it."""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

Alias = Literal["champion", "challenger"]
Stage = Literal["None", "Staging", "Production", "Archived"]
RUN_TAG, DIGEST_TAG, SEMANTIC_TAG, STAGE_TAG = "factory.run", "factory.digest", "semantic_version", "stage"
AUDIT_PREFIX = "factory.audit."
ALIAS_STAGES: dict[Alias, Stage] = {"challenger": "Staging", "champion": "Production"}


@dataclass(frozen=True)
class Version:
    """A registered version.

    Attributes:
        number: MLflow's version number.
        semantic: semantic version; see `include.registry.semantic`.
        aliases: champion, challenger, both or none.
        stage: what the aliases mean, for people: None, Staging, Production, Archived.
        run: run folder of the training run.
        mlflow_run: MLflow run of the training run.
        tags: everything else that is known of it.
    """

    model: str
    number: int
    semantic: str
    aliases: tuple[str, ...]
    stage: str
    run: str
    mlflow_run: str
    tags: dict[str, str] = field(compare=False)
    created: datetime = field(compare=False)

    def __str__(self) -> str:
        return f"{self.model} version {self.number} ({self.semantic})"

    @property
    def audit(self) -> list[dict[str, Any]]:
        """What was done to the version, oldest first: ``what``, ``at``, ``by``, ``why``, ``run``."""
        entries = [
            {"what": key.removeprefix(AUDIT_PREFIX).split(".")[0], **json.loads(value)}
            for key, value in self.tags.items()
            if key.startswith(AUDIT_PREFIX)
        ]
        return sorted(entries, key=lambda entry: str(entry["at"]))


@dataclass(frozen=True)
class Change:
    """Who changed a version's role, and why; kept as a tag of the version.

    Attributes:
        reason: one sentence.
        run: run folder of the pipeline that did it; the same change by the same run is written down once.
        by: who did it; the user of the process when empty.
    """

    reason: str
    run: str
    by: str = ""


def version_of(found: ModelVersion) -> Version:
    """Return MLflow's ``found`` as a version of ours."""
    tags = dict(found.tags)
    return Version(
        model=found.name,
        number=int(found.version),
        semantic=tags.get(SEMANTIC_TAG, ""),
        aliases=tuple(sorted(found.aliases)),
        stage=tags.get(STAGE_TAG, "None"),
        run=tags.get(RUN_TAG, ""),
        mlflow_run=found.run_id or "",
        tags=tags,
        created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )


def audit_entry(change: Change, **more: Any) -> str:
    """Return the value of the tag that keeps ``change``, as JSON."""
    entry = {"at": datetime.now(UTC).isoformat(), "by": change.by or _user(), "why": change.reason, "run": change.run}
    return json.dumps(entry | more)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # a container whose user id has no name
