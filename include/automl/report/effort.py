"""What the time of a search went into: by family, and as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.automl.leaderboard import ranked
from include.automl.record import Record


@dataclass(frozen=True)
class Effort:
    """What was spent on one family.

    Attributes:
        trials: all of them.
        done: those that scored every fold.
        failed: those that broke.
        seconds: of all their fits.
        share: of the seconds of all families' fits.
        best: its best trial that is done.
        weight: of its trials in the final model.
    """

    family: str
    trials: int
    done: int
    failed: int
    seconds: float
    share: float
    best: Record | None
    weight: float


def by_family(records: Sequence[Record], weights: dict[int, float], greater_is_better: bool) -> list[Effort]:
    """Return what each family cost and gave, the costliest first; ``weights`` are those of trials, by number."""
    total = sum(record.fit_seconds for record in records)
    found = []
    for family in dict.fromkeys(record.configuration.family for record in records):
        mine = [record for record in records if record.configuration.family == family]
        done = [record for record in ranked(mine, greater_is_better) if record.state == "done"]
        seconds = sum(record.fit_seconds for record in mine)
        found.append(
            Effort(
                family=family,
                trials=len(mine),
                done=len(done),
                failed=sum(record.state == "failed" for record in mine),
                seconds=seconds,
                share=seconds / total if total else 0.0,
                best=done[0] if done else None,
                weight=sum(weights.get(record.number, 0.0) for record in mine),
            )
        )
    return sorted(found, key=lambda effort: -effort.seconds)


def use_of_budget(records: Sequence[Record], budget: float, seconds: float, parallel: int) -> list[tuple[str, str]]:
    """Return what became of the budget, as (what, how much) for a table.

    Args:
        records: every trial.
        budget: seconds that the search had.
        seconds: that it took.
        parallel: trials at the same time.
    """
    ended = [record.ended for record in records if record.ended]
    trying = max(ended) - min(record.started for record in records if record.ended) if ended else 0.0
    fits = sum(record.fit_seconds for record in records)
    busy = fits / (parallel * trying) if trying else 0.0
    lost = sum(record.fit_seconds for record in records if record.state not in ("done", "pruned"))
    return [
        ("budget", f"{budget:.0f} s"),
        ("used", f"{seconds:.1f} s ({seconds / budget:.0%})" if budget else f"{seconds:.1f} s"),
        ("from the first trial's start to the last one's end", f"{trying:.1f} s"),
        ("start, choice and final model", f"{max(0.0, seconds - trying):.1f} s"),
        ("seconds of fits", f"{fits:.1f} s, {parallel} at a time: {busy:.0%} of the places' time"),
        ("in trials that failed or were ended by the deadline", f"{lost:.1f} s"),
    ]
