"""The root of every error that the factory raises on purpose, and the list of problems a check reports."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class FactoryError(Exception):
    """Root of the house's errors: each message says what was wrong, where, and what to do."""


class TemporarilyUnavailableError(FactoryError):
    """A service that the factory needs did not answer after retries; running the step again may succeed."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec, its data or its platform.

    Attributes:
        where: file and field, e.g. ``config/models/churn.yaml: problem.target``.
        message: what is wrong.
        fix: what to do about it.
    """

    where: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f" → {self.fix}" if self.fix else "")


class SpecError(FactoryError):
    """A spec cannot be used; ``problems`` holds every reason, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{head}:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest in spelling to ``word``, or None when none is close."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelt ``word``: the nearest known word, or all of them when none is near."""
    options = sorted(known)
    close = nearest(word, options)
    if close is not None:
        return f"did you mean '{close}'?"
    shown = ", ".join(options[:12]) + (", …" if len(options) > 12 else "")
    return f"use one of: {shown}" if options else ""
