"""What moves: the parts of a factory, each with its own store, all of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from include.specs import FactoryError


class MigrationError(FactoryError):
    """The factory cannot be moved, or what arrived is not what was sent."""


@dataclass(frozen=True)
class Count:
    """One line of the comparison.

    Attributes:
        what: a table, a kind of file, a study.
        source: rows or files that are to be moved.
        target: those that are there.
        same: whether their digests agree.
    """

    what: str
    source: int
    target: int
    same: bool


class Part(Protocol):
    """A part of the factory that moves as a whole. Every method may be called again after a kill.

    Only `prepare` and `copy` change anything, and only in the target.
    """

    title: str

    def prepare(self) -> None:
        """Make what the target needs before anything can be written: a database, tables."""

    def foreign(self) -> str:
        """Return what the target holds before anything was moved into it; nothing when it is empty."""

    def copy(self) -> None:
        """Bring what is missing into the target; what is there is left alone."""

    def compare(self) -> list[Count]:
        """Hold the target against the source."""
