"""One trial of a search: what a fold of it gave, and the whole as it is kept and as the leaderboard shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from include.automl.bench import Configuration
from include.automl.families import Params
from include.automl.folds import Answers

if TYPE_CHECKING:
    import optuna

State = Literal["done", "pruned", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True)
class FoldDone:
    """What a fold of a trial gave.

    Attributes:
        score: of the held rows.
        fit_seconds: seconds of the fit.
        refit_seconds: what a new worker would take to load the rows and fit on all of them, reckoned from this fold.
        last: whether it is the trial's last one.
        folds: how many folds there are.
        answers: whose models may answer.
        settled: the parameters for a fit on all rows, as the folds so far found them.
        save_seconds: seconds that it took to keep the fitted model.
        costs: of the trial, so far: name → value of each objective beside the metric.
    """

    score: float
    fit_seconds: float
    refit_seconds: float
    last: bool = False
    folds: int = 0
    answers: Answers = "folds"
    settled: Params = field(default_factory=dict)
    save_seconds: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One trial, as the leaderboard shows it.

    Attributes:
        number: its number in the study.
        configuration: what was tried.
        state: done; pruned (worse than the median on the same folds); failed; cancelled (at the deadline);
            interrupted (the search was killed, and tries it again).
        scores: score of each finished fold.
        fit_seconds: seconds of all fits.
        refit_seconds: what a refit on all rows is reckoned to take.
        started: seconds since the epoch.
        ended: likewise.
        reason: why it failed.
        place: which of several search steps tried it, from 1; None where one step does all.
        settled: its parameters for a fit on all rows, with what the folds found (the number of rounds, say).
        save_seconds: seconds that it took to keep the models of all folds.
        folds: folds that there are; a trial that was ended early has fewer scores.
        costs: name → value of each objective beside the metric.
        answers: whose models may answer.
    """

    number: int
    configuration: Configuration
    state: State
    scores: tuple[float, ...] = ()
    fit_seconds: float = 0.0
    refit_seconds: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    reason: str = ""
    place: int | None = None
    settled: Params = field(default_factory=dict)
    folds: int = 0
    save_seconds: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)
    answers: Answers = "folds"

    @property
    def mean(self) -> float | None:
        """Mean score of the finished folds."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    @property
    def std(self) -> float | None:
        """Standard deviation of the scores over the folds; None for a single fold."""
        if len(self.scores) < 2 or self.mean is None:
            return None
        return float((sum((score - self.mean) ** 2 for score in self.scores) / (len(self.scores) - 1)) ** 0.5)


@dataclass
class Running:
    """A trial under way."""

    trial: optuna.Trial
    configuration: Configuration
    started: float = field(default_factory=time.time)
    folds: list[FoldDone] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean score of the folds so far; one at least."""
        return sum(fold.score for fold in self.folds) / len(self.folds)

    @property
    def refit_seconds(self) -> float:
        """What a refit on all rows is reckoned to take; 0 before any fold."""
        return max((fold.refit_seconds for fold in self.folds), default=0.0)

    def record(self, state: State, reason: str, place: int | None) -> Record:
        """Return what is kept of the trial when it ends."""
        last = self.folds[-1] if self.folds else FoldDone(0.0, 0.0, 0.0)
        return Record(
            number=self.trial.number,
            configuration=self.configuration,
            state=state,
            scores=tuple(fold.score for fold in self.folds),
            fit_seconds=sum(fold.fit_seconds for fold in self.folds),
            refit_seconds=self.refit_seconds,
            started=self.started,
            ended=time.time(),
            reason=reason,
            place=place,
            settled=last.settled,
            folds=last.folds,
            save_seconds=sum(fold.save_seconds for fold in self.folds),
            costs=last.costs,
            answers=last.answers,
        )


def record_of(trial: optuna.trial.FrozenTrial, family: str) -> Record:
    """Return the record of a trial that ended; of one that was lost, what Optuna knows of it.

    Args:
        trial: as Optuna keeps it.
        family: for a trial that was lost before it had one.
    """
    from optuna.trial import TrialState

    kept = trial.user_attrs.get("record")
    if kept is None or (kept["state"] == "done") != (trial.state == TrialState.COMPLETE):
        family = trial.params.get("family", family)
        params = {name.partition(".")[2]: value for name, value in trial.params.items() if name != "family"}
        started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        reason = "the search was killed meanwhile"
        place = trial.user_attrs.get("place")
        return Record(
            trial.number, Configuration(family, params), "interrupted", started=started, reason=reason, place=place
        )
    return Record(**{**kept, "configuration": Configuration.of(kept["configuration"]), "scores": tuple(kept["scores"])})
