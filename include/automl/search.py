"""The search: trials in parallel processes against a wall-clock budget that is kept, then a refit of the winner."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from include.automl.bench import Configuration, Objective
from include.automl.families import find_family
from include.automl.folds import Array
from include.automl.pool import MakePool, Pool, warm_up
from include.automl.trials import Record, State, Trials
from include.automl.worker import Failed, Refit, Refitted, Setup, Validate, oof_file
from include.specs import FactoryError
from include.store.packages import ESTIMATOR

if TYPE_CHECKING:
    from include.specs import ModelSpec

log = logging.getLogger(__name__)
OVERRUN = 0.1
"""Share of the budget by which the refit of the winner may exceed it, before a quicker configuration is refitted."""
_HEAD_ROOM = 1.25
"""How much longer than reckoned a refit may take."""
_START = 0.3
"""Seconds to start a worker and to save the fitted pipeline."""


_LOOK_SECONDS = 1.0
"""How often a search that is late looks whether another place has found something."""


class SearchError(FactoryError):
    """No family could be fitted."""


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for training rows by models that had not seen them.

    Attributes:
        rows: positions of the rows; with ordered rows the oldest ones have none.
        folds: fold of each row.
        outputs: probability of the positive class, (rows, classes), or values.
    """

    rows: Array
    folds: Array
    outputs: Array


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        winner: the trial that was chosen.
        file: the winner's feature plan and model, fitted on all training rows; an sklearn Pipeline saved by skops in
            the plan's scratch folder.
        oof: the winner's out-of-fold predictions.
        records: every trial, by number.
        seconds: wall-clock seconds of the search, of a killed one before it too.
    """

    winner: Record
    file: Path
    oof: OutOfFold
    records: list[Record]
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes:
        data: folder of the prepared rows.
        spec: the model's spec.
        objective: what is optimised.
        budget: seconds, the refit included.
        storage: path of Optuna's journal file, or a SQLAlchemy URI.
        scratch: folder that outlives a killed search, for out-of-fold predictions and the fitted pipeline.
        name: the same name, storage and scratch go on with a search that was killed.
        first: configurations to try first; the families' defaults when empty.
        max_trials: stop after this many; the spec's when None.
        place: which of several search steps this is, from 1; None for the one that does all, or that comes last.
        neighbours: search steps that share the cores of this machine.
        make_pool: makes the workers.
    """

    data: Path
    spec: ModelSpec
    objective: Objective
    budget: float
    storage: str
    scratch: Path
    name: str
    first: Sequence[Configuration] = ()
    max_trials: int | None = None
    place: int | None = None
    neighbours: int = 1
    make_pool: MakePool = Pool


def search(plan: Plan, on_trial: Callable[[Record], None] | None = None) -> SearchResult:
    """Search for the best configuration and refit it on all training rows.

    The defaults of every family come first, then a multivariate TPE. Trials that are running at the deadline are ended.
    The budget is exceeded only where no trial has scored a fold by then (the first one to do so ends the search), or by
    up to a tenth where the refit takes longer than reckoned.

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
            warm_up()  # imports in the background what workers need, while this process imports what it needs
        import joblib

        self.plan, self.on_trial = plan, on_trial
        wanted, task = plan.spec.search, plan.spec.problem.type
        self.cores = joblib.cpu_count()
        setup = Setup(
            data=plan.data,
            features=plan.spec.features,
            objective=plan.objective,
            folds=wanted.folds,
            seed=wanted.seed,
            threads=max(1, self.cores // (wanted.parallel * plan.neighbours)),
            scratch=plan.scratch,
        )
        self.pool = plan.make_pool(setup)
        families = dict.fromkeys([*wanted.families, *(configuration.family for configuration in plan.first)])
        self.trials = Trials(plan.storage, plan.name, task, list(families), plan.objective, wanted.seed, plan.place)
        first = plan.first or [Configuration(name, find_family(name).defaults(task)) for name in families]
        self.trials.begin(first)
        self.earlier = self.trials.spent + self.began - time.monotonic() if self.trials.shared else self.trials.spent
        self.best = next(iter(self.trials.best()), None)
        self.least = len(first)
        self.most = plan.max_trials or max(wanted.max_trials, self.least)

    @property
    def spent(self) -> float:
        return self.earlier + time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds of the budget that trials may still use: what the refit of the best one needs is set aside."""
        reserve = _set_aside(self.best) if self.best else 0.0
        return self.plan.budget - self.spent - reserve

    def explore(self) -> None:
        """Run trials until the budget is used up, or there have been enough."""
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

    def _fill(self, late: bool) -> None:
        """Start as many trials as may run at the same time."""
        while self.pool.busy < (1 if late else self.plan.spec.search.parallel):
            asked = self.trials.ask(self.least if late else self.most)
            if asked is None:
                return
            if isinstance(asked, Record):
                self.on_trial(asked)
            else:
                self.pool.submit(Validate(*asked))

    def _nothing_yet(self) -> bool:
        """Tell whether no trial is done, at any place."""
        if self.best is None and self.plan.place is not None:
            self.best = next(iter(self.trials.best()), None)
        return self.best is None

    def _settle(self) -> bool:
        """Take a trial for done that has scored a fold, when none has scored all of them in time."""
        if (number := self.trials.furthest()) is None:
            return False
        self._end(number, "done")
        return True

    def _handle(self, worker: Any, report: Any) -> None:
        work = worker.work
        if not isinstance(work, Validate):
            return
        if isinstance(report, Failed):
            worker.work = None
            log.warning("trial %d (%s) failed: %s", work.number, work.configuration.family, report.reason)
            self._end(work.number, "failed", report.reason)
            return
        prune = self.trials.report(work.number, report.score, report.fit_seconds, report.refit_seconds)
        self.trials.spend(self.spent)
        if report.last:
            worker.work = None
            self._end(work.number, "done")
            return
        self.pool.answer(worker, go_on=not prune)
        if prune:
            self._end(work.number, "pruned")

    def _end(self, number: int, state: State, reason: str = "") -> None:
        self.on_trial(self.trials.end(number, state, reason))
        if state == "done":
            self.best = self.trials.best()[0]

    def _cancel(self, reason: str) -> None:
        self.pool.cancel()
        for number in self.trials.running:
            self._end(number, "cancelled", reason)
        self.trials.spend(self.spent)

    def conclude(self) -> SearchResult:
        """Refit the best configuration that can be refitted in time."""
        best = self.trials.best()
        if not best:
            raise SearchError(_why_nothing(self.trials.records()))
        quickest = min(best, key=lambda record: record.fit_seconds / len(record.scores))
        reason, file = "", self.plan.scratch / ESTIMATOR
        for record in {record.number: record for record in (best[0], quickest, *best)}.values():
            in_time = max(self.plan.budget * (1 + OVERRUN) - self.spent, _set_aside(record))
            limit = None if record is quickest else in_time
            report = self._work(Refit(record.configuration, self.cores, file), limit)
            if isinstance(report, Refitted):
                oof = self._oof(record)
                self.trials.spend(self.spent)
                return SearchResult(record, file, oof, self.trials.records(), self.spent)
            reason = report.reason
            log.warning("refit of trial %d failed: %s", record.number, reason)
        raise SearchError(f"no configuration could be fitted on all rows; the last reason: {reason}")

    def _work(self, work: Refit, limit: float | None) -> Refitted | Failed:
        self.pool.submit(work)
        found = self.pool.reports(limit)
        if not found:
            self.pool.cancel()
            return Failed("it took too long for the budget")
        worker, report = found[0]
        worker.work = None
        return cast("Refitted | Failed", report)

    def _oof(self, record: Record) -> OutOfFold:
        """Return the predictions that the trial left; where its scratch folder is gone, validate it again."""
        files = [oof_file(self.plan.scratch, record.number, fold) for fold in range(len(record.scores))]
        if not all(file.exists() for file in files):
            self._validate_again(record)
        parts = []
        for file in files:
            with np.load(file) as kept:
                parts.append((kept["rows"], kept["outputs"]))
        rows, outputs = ([part[side] for part in parts] for side in (0, 1))
        folds = np.repeat(np.arange(len(parts)), [len(part) for part in rows])
        return OutOfFold(np.concatenate(rows), folds, np.concatenate(outputs))

    def _validate_again(self, record: Record) -> None:
        self.pool.submit(Validate(record.number, record.configuration, folds=len(record.scores)))
        while self.pool.busy:
            for worker, report in self.pool.reports(None):
                if isinstance(report, Failed):
                    raise SearchError(f"the winner could not be validated again: {report.reason}")
                if report.last:
                    worker.work = None
                else:
                    self.pool.answer(worker, go_on=True)


def forget(scratch: Path) -> None:
    """Remove what a search keeps only for being killed."""
    shutil.rmtree(scratch, ignore_errors=True)


def _set_aside(record: Record) -> float:
    """Return the seconds to set aside for a refit of ``record``."""
    return _START + _HEAD_ROOM * record.refit_seconds


def _why_nothing(records: Sequence[Record]) -> str:
    reasons = {record.configuration.family: record.reason for record in records if record.reason}
    shown = "; ".join(f"{family}: {reason}" for family, reason in reasons.items())
    return f"no algorithm family could be fitted ({shown}); look at the data's columns and the target"
