"""What a task remembers of its pods from one try to the next, in Airflow's task state store.

The store is a table of Airflow's database with one row a key for (DAG run, task, map index): it outlives workers,
schedulers, triggerers and tries. A pod's name is kept before the pod is made, so that whoever comes next finds it, or
makes it again under the same name: two pods for one attempt cannot be.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

KEY = "factory_pod"
_LONGEST = 63


class Attempt(BaseModel):
    """One attempt at a step: one pod, whatever becomes of the workers and triggerers that watch it."""

    model_config = ConfigDict(frozen=True)

    number: int = 0
    """Counts the pods of this task, from 1; 0 before the first one."""
    pod: str = ""
    """Name of the pod."""
    open: bool = False
    """Whether its end is still to be seen."""
    earlier: str | None = None
    """When the result ended that lay in the run folder before the pod was made: that one is not the pod's."""
    memory: str | None = None
    """Memory limit of the pod, where an earlier one ran out of memory; else as the spec says."""
    waiting: datetime | None = None
    """Since when the cluster has had no room for the pod; None once it has been made."""
    told: tuple[str, ...] = ()
    """How earlier pods ended that ran out of memory, a phrase each."""

    def next(self, name: str, earlier: datetime | None) -> Attempt:
        """Return the attempt after this one, whose pod is named after ``name``."""
        number = self.number + 1
        suffix = f"-{number}-{secrets.token_hex(4)}"
        return self.model_copy(
            update={
                "number": number,
                "pod": name[: _LONGEST - len(suffix)].strip("-") + suffix,
                "open": True,
                "earlier": earlier.isoformat() if earlier else None,
                "waiting": None,
            }
        )

    def began_waiting(self) -> Attempt:
        """Return the attempt with the time since which it waits."""
        return self if self.waiting else self.model_copy(update={"waiting": datetime.now(UTC)})


class Attempts:
    """Read and write the attempt that a task is at."""

    def __init__(self, context: Any) -> None:
        self._store = context["task_state_store"]

    def read(self) -> Attempt:
        """Return the newest attempt; a fresh one where there was none, or where its row cannot be read."""
        try:
            return Attempt.model_validate(self._store.get(KEY) or {})
        except ValidationError:
            return Attempt()

    def write(self, attempt: Attempt) -> Attempt:
        """Keep ``attempt``."""
        self._store.set(KEY, attempt.model_dump(mode="json"))
        return attempt

    def close(self, attempt: Attempt, **changes: Any) -> Attempt:
        """Keep that the end of ``attempt`` was seen: the next try makes a new pod."""
        return self.write(attempt.model_copy(update={"open": False, **changes}))
