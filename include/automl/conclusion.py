"""The end of a search: which trials the final model is made of, and the model itself, before the budget is used up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from include.automl.bench import wide
from include.automl.ensemble.calibration import RANKS, Calibration, calibrate
from include.automl.ensemble.combination import Mean
from include.automl.ensemble.greedy import select
from include.automl.ensemble.guard import Held, judge
from include.automl.ensemble.kept import Kept, merged
from include.automl.ensemble.stacking import Combined, by_mean, by_stack, further
from include.automl.folds import Array
from include.automl.pareto import compromise, front
from include.automl.pool import Pool, WorkerPool
from include.automl.record import Record
from include.automl.reserve import (
    MOST_REFITTED,
    OVERRUN,
    affordable,
    by_folds,
    selection_seconds,
    set_aside,
    stacking_seconds,
)
from include.automl.result import Member, OutOfFold, Plan, SearchError, SearchResult
from include.automl.trials import Trials
from include.automl.worker import Assemble, Assembled, Failed, Refit, Refitted, Setup, Validate
from include.features.prepared import Prepared
from include.store.packages import ESTIMATOR

log = logging.getLogger(__name__)
MOST = 25
"""Trials that are candidates for the ensemble."""
MOST_MODELS = 50
"""Models that answer together, those of all folds counted: each takes time of every prediction."""


@dataclass(frozen=True)
class Conclusion:
    """Makes the final model of a search.

    Attributes:
        plan: of the search.
        setup: of its workers.
        pool: its workers, all idle.
        trials: what it tried.
        cores: of this machine.
        spent: returns the seconds of the budget that are used up.
    """

    plan: Plan
    setup: Setup
    pool: WorkerPool
    trials: Trials
    cores: int
    spent: Callable[[], float]

    @property
    def kept(self) -> Kept:
        """What its trials left."""
        return Kept(self.plan.scratch)

    def draw(self) -> SearchResult:
        """Return the final model.

        Raises:
            SearchError: nothing could be fitted.
        """
        best = self.trials.best()
        if not best:
            raise SearchError(_why_nothing(self.trials.records()))
        prepared = Prepared.load(self.plan.data)
        best, unbeaten, notes = self._compromised(best)
        candidates = self._candidates(best)
        rows = len(prepared.train)
        outputs = {record.number: merged(self.kept.folds(record), rows) for record in candidates}
        until = self.spent() + selection_seconds(self.plan)
        weights = self._weights(outputs, prepared, len(best[0].scores))
        members = [Member(record, weights[record.number]) for record in candidates if record.number in weights]
        bagged = by_folds(self.plan, best) and all(self.kept.has_models(one.record) for one in members)
        if bagged:
            more = self._further(members, [record for record in best if record.number in outputs])
            seconds = self.plan.budget * (1 + OVERRUN) - self.spent() - stacking_seconds(self.plan)
            members = affordable([*members, *more], seconds)
        else:
            members = self._refitted(members, best)
            if notes and (fitted := members[0].record.number) != best[0].number:
                notes = (*notes, f"it could not be fitted in time, so that trial {fitted} is the model")
        model = self._combined(members, outputs, prepared, until)
        folds = self.kept.combined(model.members, model.combination)
        blend = merged(folds, rows)
        calibration = self._calibration(blend, prepared)
        file = self.plan.scratch / ESTIMATOR
        self._assemble(model, bagged, prepared, calibration, file)
        oof = OutOfFold(blend.rows, blend.folds, calibration.on(blend.outputs))
        scores = tuple(self._score(prepared, held, calibration.on(found)) for held, found in folds)
        costs = tuple(cost.name for cost in self.plan.costs)
        return SearchResult(
            members=model.members,
            bagged=bagged,
            calibration=calibration,
            scores=scores,
            file=file,
            oof=oof,
            records=self.trials.records(),
            seconds=self.spent(),
            notes=notes,
            costs=costs,
            front=unbeaten,
            verdict=model.verdict,
        )

    # Which trials

    def _compromised(self, best: list[Record]) -> tuple[list[Record], tuple[int, ...], tuple[str, ...]]:
        """Return the trials, the one first that is to be the model alone; the front's numbers; and why it is that one.

        With one objective, or where several may answer together, the trials stay as they are.
        """
        costs, greater = self.plan.costs, self.plan.objective.greater_is_better
        whole = [record for record in best if len(record.scores) == len(best[0].scores)]
        if not costs or (found := compromise(whole, costs, greater)) is None:
            return best, (), ()
        unbeaten = tuple(record.number for record in front(whole, costs, greater))
        if self.plan.ensemble:
            return best, unbeaten, ()
        return [found.record, *(one for one in best if one is not found.record)], unbeaten, (found.reason,)

    def _candidates(self, best: Sequence[Record]) -> list[Record]:
        """Return the best trials, those first that are the best of their family; all have predictions on all folds."""
        whole = [record for record in best if len(record.scores) == len(best[0].scores)] or [best[0]]
        if not self.kept.has_predictions(whole[0]):
            self._validate_again(whole[0])
        whole = [record for record in whole if self.kept.has_predictions(record)]
        if not self.plan.ensemble:
            return whole[:1]
        firsts = {record.configuration.family: record for record in reversed(whole)}
        chosen = {record.number: record for record in (whole[0], *firsts.values(), *whole)}
        return list(chosen.values())[:MOST]

    def _weights(self, outputs: dict[int, OutOfFold], prepared: Prepared, folds: int) -> dict[int, float]:
        first = next(iter(outputs.values()))
        if len(outputs) == 1:
            return dict.fromkeys(outputs, 1.0)
        seconds = selection_seconds(self.plan)
        target = prepared.train_target[first.rows]
        candidates = {number: one.outputs for number, one in outputs.items()}
        seed, counts = self.plan.spec.search.seed, _weights_of(prepared, first.rows)
        weights = select(candidates, target, self.plan.objective, seconds, seed, counts).weights
        heaviest = sorted(weights, key=lambda number: -weights[number])[: max(1, MOST_MODELS // max(1, folds))]
        total = sum(weights[number] for number in heaviest)
        return {number: weights[number] / total for number in heaviest}

    def _further(self, members: Sequence[Member], best: Sequence[Record]) -> list[Member]:
        """Return trials that a second model may want beside the members, where their models of the folds are there."""
        if not self.plan.may_stack:
            return []
        room = MOST_MODELS // max(1, len(members[0].record.scores)) - len(members)
        return further(members, [record for record in best if self.kept.has_models(record)], room)

    def _combined(
        self, members: Sequence[Member], outputs: dict[int, OutOfFold], prepared: Prepared, until: float
    ) -> Combined:
        """Return how the members answer together, and what was said of a second model over them."""
        if not (self.plan.ensemble and self.plan.may_stack) or len(members) < 2:
            return by_mean(members, None)
        found = [outputs[member.record.number] for member in members]
        rows = found[0].rows
        held = Held(
            outputs=tuple(one.outputs for one in found),
            mean=Mean(tuple(member.weight for member in members)),
            target=prepared.train_target[rows],
            folds=found[0].folds,
            classes=None if prepared.classes is None else len(prepared.classes),
            counts=_weights_of(prepared, rows),
            ordered=prepared.ordered,
        )
        seconds = stacking_seconds(self.plan) + max(0.0, until - self.spent())
        verdict = judge(held, self.plan.objective, seconds, self.plan.spec.search.seed)
        return by_mean(members, verdict) if verdict.stack is None else by_stack(members, verdict.stack, verdict)

    def _validate_again(self, record: Record) -> None:
        """Make the predictions again of a trial whose scratch folder is gone."""
        self.pool.submit(Validate(record.number, record.configuration, folds=len(record.scores)))
        while self.pool.busy:
            for worker, report in self.pool.reports(None):
                if isinstance(report, Failed):
                    raise SearchError(f"the best trial could not be validated again: {report.reason}")
                if report.last:
                    worker.work = None
                else:
                    self.pool.answer(worker, go_on=True)

    # The model

    def _refitted(self, members: Sequence[Member], best: Sequence[Record]) -> list[Member]:
        """Fit the members again on all rows; return those that could be in time, or else the quickest trial.

        Raises:
            SearchError: not even that one could be fitted.
        """
        heaviest = sorted(members, key=lambda member: -member.weight)[:MOST_REFITTED]
        done, reason = self._refit([member.record for member in heaviest], hurry=True)
        if not done:
            quickest = min(best, key=lambda record: record.fit_seconds / len(record.scores))
            for record in {one.number: one for one in (quickest, *best)}.values():
                done, reason = self._refit([record], hurry=record is not quickest)
                if done:
                    heaviest = [Member(record, 1.0)]
                    break
            else:
                raise SearchError(f"no configuration could be fitted on all rows; the last reason: {reason}")
        kept = [member for member in heaviest if member.record.number in done]
        total = sum(member.weight for member in kept)
        return [Member(member.record, member.weight / total) for member in kept]

    def _refit(self, records: Sequence[Record], hurry: bool) -> tuple[set[int], str]:
        """Fit configurations on all rows, at the same time; return which ones came to an end, and a reason if none."""
        reason = "it took too long for the budget"
        done: set[int] = set()
        together = min(len(records), self.plan.spec.search.parallel)
        threads = max(1, self.cores // together)
        waiting = list(records)
        while waiting or self.pool.busy:
            while waiting and self.pool.busy < together:
                record = waiting.pop(0)
                configuration = replace(record.configuration, params=record.settled or record.configuration.params)
                self.pool.submit(Refit(record.number, configuration, threads))
            reckoned = max(set_aside(record.refit_seconds) for record in records)
            left = max(self.plan.budget * (1 + OVERRUN / 2) - self.spent(), reckoned) if hurry else None
            found = self.pool.reports(left)
            if not found:
                self.pool.cancel()
                break
            for worker, report in found:
                number, worker.work = worker.work.number, None
                if isinstance(report, Refitted):
                    done.add(number)
                else:
                    reason = report.reason
                    log.warning("refit of trial %d failed: %s", number, reason)
        return done, reason

    def _calibration(self, blend: OutOfFold, prepared: Prepared) -> Calibration:
        if prepared.classes is None:
            return Calibration()
        probabilities, target = wide(blend.outputs), prepared.train_target[blend.rows]
        may_tie = self.plan.objective.name not in RANKS
        return calibrate(probabilities, target, blend.folds, may_tie, _weights_of(prepared, blend.rows))

    def _score(self, prepared: Prepared, rows: Array, outputs: Array) -> float:
        return self.plan.objective(prepared.train_target[rows], outputs, _weights_of(prepared, rows))

    def _assemble(
        self, model: Combined, bagged: bool, prepared: Prepared, calibration: Calibration, file: Path
    ) -> None:
        weights = zip(model.members, model.combination.weights, strict=True)
        parts = [part for one, weight in weights for part in self.kept.parts(one.record, weight, bagged)]
        classes = len(prepared.classes) if prepared.classes is not None else None
        pool = self.pool if isinstance(self.pool, Pool) else Pool(self.setup)
        try:
            pool.submit(Assemble(tuple(parts), classes, calibration, file, model.combination.biases))
            report = pool.reports(None)[0][1]
        finally:
            if pool is not self.pool:
                pool.cancel()
        if not isinstance(report, Assembled):
            raise SearchError(f"the final model could not be put together: {report.reason}")


def _weights_of(prepared: Prepared, rows: Array) -> Array | None:
    return None if prepared.train_weights is None else prepared.train_weights[rows]


def _why_nothing(records: Sequence[Record]) -> str:
    reasons = {record.configuration.family: record.reason for record in records if record.reason}
    shown = "; ".join(f"{family}: {reason}" for family, reason in reasons.items())
    return f"no algorithm family could be fitted ({shown}); look at the data's columns and the target"
