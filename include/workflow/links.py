"""Buttons on a task in the Airflow UI, made of the links in the step's result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

STEP_LINKS = {
    "validate": ("Data docs",),
    "search": ("MLflow run", "Leaderboard"),
    "evaluate": ("MLflow run",),
    "report": ("Evidently report",),
    "gate": ("Gate report", "MLflow run"),
    "register": ("Model version", "Model card", "MLflow run"),
    "plan_release": ("Model version",),
    "shift": ("Health",),
    "promote": ("Model version",),
    "monitor": ("Evidently report",),
}
"""Which buttons a step's task has; only these, because Airflow greys out a button without an address."""


@attrs.define(frozen=True)
class ResultLink(BaseOperatorLink):
    """One button. When the task ends its worker keeps the address as an XCom, which is what the UI reads."""

    title: str

    @property
    def name(self) -> str:
        """What the button says."""
        return self.title

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the address."""
        return "link_" + self.title.lower().replace(" ", "_")

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address that the step's result gave, or nothing when it gave none."""
        links: dict[str, str] = getattr(operator, "links", {})
        return links.get(self.title, "")


def links_of(step: str) -> list[BaseOperatorLink]:
    """Return the buttons of a step's task."""
    return [ResultLink(title) for title in STEP_LINKS.get(step, ())]
