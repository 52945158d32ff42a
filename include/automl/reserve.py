"""What of a search's budget is set aside for its final model, reckoned from what the trials took."""

from __future__ import annotations

from collections.abc import Sequence

from include.automl.record import Record
from include.automl.result import Member, Plan

OVERRUN = 0.1
"""Share of the budget by which the final model may exceed it, before a quicker one is taken."""
MOST_REFITTED = 3
"""Trials of an ensemble whose members are fitted again on all rows, which takes time."""
REFIT_SHARE = 0.5
"""Share of the budget that fitting again may take where the models of the folds may answer as well."""
_SELECTION_SHARE = 0.03
"""Share of the budget that choosing the ensemble may take."""
_STACKING_SHARE = 0.01
"""Share of the budget that judging a second model over its members may take beside."""
_HEAD_ROOM = 1.25
"""How much longer than reckoned a refit may take."""
_START = 0.3
"""Seconds to start a worker."""
_SAVING = 4.5
"""How much longer than keeping a fitted model in a trial it takes to load it again, to make it ready to serve and to
write it without pickle. Measured on 4000 rows: 2 for linear models, 4 for LightGBM, 7 for forests. Few of the best
trials are forests; what these take longer, the overrun bears."""
_LIKELY = 5
"""Trials that an ensemble is likely to be made of."""


def reserve(plan: Plan, best: Sequence[Record]) -> float:
    """Return the seconds of the budget to set aside for the final model.

    Args:
        plan: of the search.
        best: the trials that are done, the best first; one at least.
    """
    selection = selection_seconds(plan) + stacking_seconds(plan) if plan.ensemble else 0.0
    if by_folds(plan, best):
        saving = sum(_saving(record) for record in best[:_LIKELY])
        return _START + selection + saving
    saving = sum(_saving(record) / max(1, len(record.scores)) for record in best[:MOST_REFITTED])
    return _START + selection + _refitting(plan, best) + saving


def by_folds(plan: Plan, best: Sequence[Record]) -> bool:
    """Tell whether the models of the folds will answer, rather than ones that are fitted again on all rows."""
    if not plan.ensemble or best[0].answers == "refit":
        return False
    return best[0].answers == "folds" or _refitting(plan, best) > REFIT_SHARE * plan.budget


def _refitting(plan: Plan, best: Sequence[Record]) -> float:
    """Return the seconds that fitting the best trials again on all rows may take."""
    refitted = sorted((record.refit_seconds for record in best[:MOST_REFITTED]), reverse=True)
    rounds = sum(refitted) / max(1, min(plan.spec.search.parallel, len(refitted)))
    return _HEAD_ROOM * max([rounds, *refitted[:1]])


def selection_seconds(plan: Plan) -> float:
    """Return the seconds that choosing the ensemble may take."""
    return max(0.3, _SELECTION_SHARE * plan.budget)


def stacking_seconds(plan: Plan) -> float:
    """Return the seconds that judging a second model over the members may take, beside what choosing them left."""
    return max(0.3, _STACKING_SHARE * plan.budget) if plan.may_stack else 0.0


def set_aside(refit_seconds: float) -> float:
    """Return the seconds to set aside for a fit on all rows that is reckoned to take ``refit_seconds``; 0 for none."""
    return _START + _HEAD_ROOM * refit_seconds if refit_seconds else 0.0


def affordable(members: Sequence[Member], seconds: float) -> list[Member]:
    """Return the heaviest members that can be put together and saved in ``seconds``, one at least."""
    kept: list[Member] = []
    for member in sorted(members, key=lambda member: -member.weight):
        seconds -= _saving(member.record)
        if kept and seconds < 0:
            break
        kept.append(member)
    total = sum(member.weight for member in kept)
    return [Member(member.record, member.weight / total) for member in kept]


def _saving(record: Record) -> float:
    """Return the seconds that a trial's models of the folds are reckoned to take when the final model is saved."""
    return _SAVING * record.save_seconds
