"""``runtime.json``: which runtime serves a package, and the evidence for it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from include.specs.errors import FactoryError

RUNTIME_FILE = "runtime.json"
BATCH = 100
"""Rows of a timed batch."""


class Candidate(BaseModel):
    """What was measured of one runtime; None where it could not be."""

    model_config = ConfigDict(frozen=True)

    runtime: str
    faithful: bool
    """Whether it answers as the reference does, within the tolerances."""
    rows: int | None = None
    """Real rows on which it was held against the reference."""
    share_different: float | None = None
    """Share of rows with a score that differs from the reference's by more than the tolerance."""
    share_labels: float | None = None
    """Classifiers: share of rows whose label differs, those aside on which the reference is undecided."""
    largest_difference: float | None = None
    """Largest difference of a score; of a regression in standard deviations of the reference's values."""
    one_ms: float | None = None
    """Time of one row, in milliseconds."""
    batch_ms: float | None = None
    """Time of a batch of `BATCH` rows, in milliseconds."""
    size_mb: float | None = None
    """Size of the files that this runtime reads, in MiB."""
    reason: str = ""
    """Why it was not built, or not taken."""


class Optimised(BaseModel):
    """What an optimised form of the model loses and gains against the runtime that would serve otherwise."""

    model_config = ConfigDict(frozen=True)

    form: str
    """quantised, compiled or student."""
    runtime: str = ""
    serves: bool = False
    reason: str = ""
    """Why it does not serve."""
    metric: str = ""
    before: float | None = None
    """The metric of what would serve otherwise, on held-out rows."""
    loss: float | None = None
    """Share of it that is lost; negative where it is better."""
    low: float | None = None
    high: float | None = None
    """The paired interval of the loss: the bad end decides."""
    rows: int | None = None
    one_ms: float | None = None
    one_ms_before: float | None = None
    size_mb: float | None = None
    size_mb_before: float | None = None


class Choice(BaseModel):
    """The runtime of a package, and all that were considered."""

    model_config = ConfigDict(frozen=True)

    runtime: str
    candidates: tuple[Candidate, ...] = ()
    optimised: tuple[Optimised, ...] = ()
    """Forms that a spec asked for; when one serves, ``runtime`` is its own."""

    def save(self, folder: Path) -> None:
        """Write it into the package in ``folder``."""
        (folder / RUNTIME_FILE).write_text(self.model_dump_json(indent=2, exclude_defaults=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Choice | None:
        """Return the choice of the package in ``folder``; None when nobody chose.

        Raises:
            FactoryError: the file is damaged.
        """
        file = folder / RUNTIME_FILE
        if not file.is_file():
            return None
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise FactoryError(f"{file}: cannot be read ({error}); train and register the model again") from error
