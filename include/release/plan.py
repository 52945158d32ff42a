"""The plan of a release, as the pipeline's first step left it for the others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PLAN_FILE = "release.json"


@dataclass(frozen=True)
class Plan:
    """What is released, over what.

    Attributes:
        model: the model's name.
        challenger: the version that is released.
        champion: the version that it takes over from, or None when it is the first or answers already.
        steps: the challenger's share of the traffic at each step (percent).
        run: run folder of the challenger's training run.
    """

    model: str
    challenger: int
    champion: int | None
    steps: tuple[int, ...]
    run: str

    def save(self, folder: Path) -> None:
        """Write the plan into ``folder``."""
        (folder / PLAN_FILE).write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Plan:
        """Read what `save` wrote."""
        document = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**document, "steps": tuple(document["steps"])})
