"""The search: trials in parallel processes against a wall-clock budget that is kept, then the final model."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.automl.bench import Options
from include.automl.columns import ColumnChoice
from include.automl.conclusion import Conclusion
from include.automl.device import device_problem
from include.automl.memory import bound_bytes
from include.automl.pool import Pool, warm_up
from include.automl.portfolio import Shape, able, portfolio
from include.automl.record import Record, State
from include.automl.reserve import reserve, set_aside
from include.automl.result import Plan, SearchError, SearchResult
from include.automl.trials import Trials
from include.automl.worker import Failed, Look, Looked, Setup, Validate

if TYPE_CHECKING:
    from include.specs import ModelSpec

__all__ = ["Plan", "SearchError", "SearchResult", "forget", "search", "take_part"]

log = logging.getLogger(__name__)
TRIAL_SHARE = 0.25
"""Share of the budget that a trial is expected to take: folds, and on many rows their size, are chosen by it."""
LONGEST_SHARE = 0.4
"""Share of the budget after which its fits are stopped: few that came near their end beat many that did not."""
LOOK_SHARE, SHORTEST_LOOK = 0.15, 3.0
"""Share of the budget, and least seconds, for finding out which columns can go and which combinations of them pay."""
SHORTEST_FIT = 0.3
"""Seconds that a fit is given at least."""
_LOOK_SECONDS = 1.0
"""How often a search that is late looks whether another place has found something."""


def search(plan: Plan, on_trial: Callable[[Record], None] | None = None) -> SearchResult:
    """Search for the best configurations, and make one model of them.

    The families' portfolio comes first, then a multivariate TPE. Trials that are running at the deadline are ended.
    The final model is an ensemble that is chosen on out-of-fold predictions. Where the folds hold every row its members
    answer by the models of their folds; otherwise (time) they are fitted again on all rows. The budget is exceeded only
    where no trial has scored a fold by then (the first one to do so ends the search), or by up to a tenth where the
    final model takes longer than reckoned.

    Args:
        plan: what to do.
        on_trial: called with the record of every trial that ends.

    Raises:
        SearchError: no family could be fitted; the message has the reason of each.
    """
    run = _Search(plan, on_trial or (lambda record: None))
    try:
        run.explore()
        return run.conclude()
    finally:
        run.pool.cancel()


def take_part(plan: Plan, on_trial: Callable[[Record], None] | None = None) -> list[Record]:
    """Run trials of a search at one of several places, until the deadline that all share; return those of this place.

    The first place to begin sets the deadline. `search` comes after all places have ended: it takes their trials for
    its own, and refits the best one.
    """
    run = _Search(plan, on_trial or (lambda record: None))
    try:
        run.explore()
        return [record for record in run.trials.records() if record.place == plan.place]
    finally:
        run.pool.cancel()


class _Search:
    def __init__(self, plan: Plan, on_trial: Callable[[Record], None]) -> None:
        self.began = time.monotonic()
        if plan.make_pool is Pool:
            warm_up(plan.spec.search.families)  # in the background, while this process imports what it needs itself
        import joblib

        self.plan, self.on_trial = plan, on_trial
        wanted, task = plan.spec.search, plan.spec.problem.type
        families, self.notes = _able(plan.spec)
        if plan.make_pool is Pool and (problem := device_problem(wanted.device, families)):
            raise SearchError(f"search.device: {problem}")
        self.cores = joblib.cpu_count()
        self.setup = Setup(
            data=plan.data,
            features=plan.spec.features,
            objective=plan.objective,
            folds=wanted.folds,
            seed=wanted.seed,
            threads=max(1, self.cores // (wanted.parallel * plan.neighbours)),
            scratch=plan.scratch,
            memory=bound_bytes(wanted.memory_gb) // plan.neighbours,
            options=Options.of(plan.spec, plan.costs, TRIAL_SHARE * plan.budget),
        )
        self.pool = plan.make_pool(self.setup)
        names = list(dict.fromkeys([*families, *(one.family for one in plan.first)]))
        costs = [cost.name for cost in plan.costs]
        self.trials = Trials(plan.storage, plan.name, task, names, plan.objective, wanted.seed, plan.place, costs)
        first = plan.first or portfolio(families, task, Shape.of(plan.data))
        self.trials.begin(first, in_turns=not plan.first and not costs)
        self.earlier = self.trials.spent + self.began - time.monotonic() if self.trials.shared else self.trials.spent
        self.best = self.trials.best()
        self.least = len(names)
        self.most = plan.max_trials or wanted.max_trials
        self.folds = 1

    @property
    def spent(self) -> float:
        return self.earlier + time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds of the budget that trials may still use: what the final model needs is set aside.

        Where no trial is done, that is what it takes to fit the one that got furthest.
        """
        kept = reserve(self.plan, self.best) if self.best else set_aside(self.trials.reckoned())
        return self.plan.budget - self.spent - kept

    def explore(self) -> None:
        """Run trials until the budget is used up, or there have been enough."""
        self._look()
        while self.left > 0 or self._nothing_yet():
            late = self.left <= 0
            if late and self._settle():
                break
            self._fill(late)
            if not self.pool.busy:
                break
            late_wait = None if self.plan.place is None else _LOOK_SECONDS
            for worker, report in self.pool.reports(late_wait if late else self.left):
                self._handle(worker, report)
        self._cancel("the budget was used up")

    def _look(self) -> None:
        """Let one worker find out what pays of the columns, while the others try the first configurations."""
        seconds = LOOK_SHARE * self.plan.budget
        if self.plan.first or self.plan.make_pool is not Pool or self.trials.looked or seconds < SHORTEST_LOOK:
            return
        self.pool.submit(Look(seconds))

    def _fill(self, late: bool) -> None:
        """Start as many trials as may run at the same time."""
        while self.pool.busy < (1 if late else self.plan.spec.search.parallel):
            asked = self.trials.ask(self.least if late else self.most)
            if asked is None:
                return
            if isinstance(asked, Record):
                self.on_trial(asked)
            else:
                self.pool.submit(Validate(*asked, seconds=None if late else self._allowance))

    @property
    def _allowance(self) -> float:
        """Seconds that a fit may take."""
        return max(SHORTEST_FIT, min(LONGEST_SHARE * self.plan.budget, self.left) / self.folds)

    def _nothing_yet(self) -> bool:
        """Tell whether no trial is done, at any place."""
        if not self.best and self.plan.place is not None:
            self.best = self.trials.best()
        return not self.best

    def _settle(self) -> bool:
        """Take a trial for done that has scored a fold, when none has scored all of them in time."""
        if (number := self.trials.furthest()) is None:
            return False
        self._end(number, "done")
        return True

    def _handle(self, worker: Any, report: Any) -> None:
        work = worker.work
        if isinstance(work, Look):
            self._looked(worker, report)
        if not isinstance(work, Validate):
            return
        if isinstance(report, Failed):
            worker.work = None
            log.warning("trial %d (%s) failed: %s", work.number, work.configuration.family, report.reason)
            self._end(work.number, "failed", report.reason)
            return
        prune = self.trials.report(work.number, report)
        self.folds = report.folds
        self.trials.spend(self.spent)
        if report.last:
            worker.work = None
            self._end(work.number, "done")
            return
        self.pool.answer(worker, go_on=not prune)
        if prune:
            self._end(work.number, "pruned")

    def _looked(self, worker: Any, report: Any) -> None:
        """Let further trials make of the columns what was found to pay."""
        worker.work = None
        if isinstance(report, Failed):
            log.warning("the columns could not be looked at: %s", report.reason)
        self.trials.columns = report.columns if isinstance(report, Looked) else ColumnChoice()

    def _end(self, number: int, state: State, reason: str = "") -> None:
        self.on_trial(self.trials.end(number, state, reason))
        if state == "done":
            self.best = self.trials.best()

    def _cancel(self, reason: str) -> None:
        self.pool.cancel()
        for number in self.trials.running:
            self._end(number, "cancelled", reason)
        self.trials.spend(self.spent)

    def conclude(self) -> SearchResult:
        """Make the final model."""
        result = Conclusion(self.plan, self.setup, self.pool, self.trials, self.cores, lambda: self.spent).draw()
        self.trials.spend(self.spent)
        return replace(result, notes=(*self.notes, *result.notes))


def _able(spec: ModelSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the families to search, and a line that says which ones were left out and why, where some were.

    Raises:
        SearchError: none is left.
    """
    families, unable = able(spec.search.families, spec.features)
    if not unable:
        return families, ()
    line = f"families that cannot keep to features.monotone are left out: {', '.join(unable)}"
    if not families:
        raise SearchError(f"{line}; add one that can to search.families, such as lightgbm")
    log.warning(line)
    return families, (line,)


def forget(scratch: Path) -> None:
    """Remove what a search keeps only for being killed."""
    shutil.rmtree(scratch, ignore_errors=True)
