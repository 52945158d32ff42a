"""What a run measured, and how its rounds become one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.serving.wrk import Measured


@dataclass(frozen=True)
class Seen:
    """One round of a system.

    Attributes:
        cold_start: seconds from the start of the process to its first answer.
        resident: MiB of all its processes, shared pages counted in each.
        proportional: MiB of all its processes, shared pages counted once.
        loads: what came back under each load, by the load's name.
    """

    cold_start: float
    resident: float
    proportional: float
    loads: dict[str, Measured]


@dataclass
class Result:
    """A run.

    Attributes:
        seconds: length of each load.
        rounds_of: the rounds of each system, by its name.
    """

    machine: dict[str, str]
    rounds: int
    seconds: int
    rounds_of: dict[str, list[Seen]] = field(default_factory=dict)
    minutes: float = 0.0

    def median(self, system: str, number: Callable[[Seen], float]) -> float | None:
        """Return the median over the rounds of a system, or None when it was not measured."""
        rounds = self.rounds_of.get(system)
        return median(map(number, rounds)) if rounds else None

    def ratio(self, one: str, other: str, number: Callable[[Seen], float]) -> float | None:
        """Return the median over the rounds of ``one``'s number by ``other``'s in the same round, or None."""
        pairs = list(zip(self.rounds_of.get(one, []), self.rounds_of.get(other, []), strict=False))
        return median(number(a) / number(b) for a, b in pairs) if pairs else None

    def failed(self, system: str) -> int:
        """Return the requests that failed, under all loads and in all rounds."""
        return sum(load.failed for seen in self.rounds_of.get(system, []) for load in seen.loads.values())
