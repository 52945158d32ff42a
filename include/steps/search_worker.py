"""One of the tasks that share a search: it tries configurations until the deadline that all of them have."""

from __future__ import annotations

import re
import shutil

from include.automl.ensemble.assemble import files_of
from include.automl.search import take_part
from include.specs import FactoryError
from include.steps.context import Outcome, StepContext
from include.steps.search_plan import TRIALS, WORKER, plan_of, say

KEPT = 8
"""Trials of a worker whose predictions and models the last step may take for the ensemble."""


def run(context: StepContext) -> Outcome:
    """Run trials; leaves the predictions and models of the best ones of this worker.

    Raises:
        FactoryError: the task's name does not say which worker this is.
    """
    found = re.fullmatch(rf"{WORKER}_([1-9]\d*)", context.task)
    if found is None:
        raise FactoryError(f"task '{context.task}' does not say which worker it is; name it {WORKER}_1, {WORKER}_2 …")
    place = int(found[1])
    strategy, plan, _ = plan_of(context, place)
    if strategy != "search":
        return Outcome("one configuration is fitted again: there is nothing to share", {"trials": 0})
    mine = take_part(plan, say)
    done = [record for record in mine if record.state == "done" and record.mean is not None]
    sign = 1 if plan.objective.greater_is_better else -1
    best = sorted(done, key=lambda record: -sign * (record.mean or 0.0))[:KEPT]
    values = {"place": place, "trials": len(mine), "done": len(done), "best": best[0].number if best else None}
    if not best:
        return Outcome(f"worker {place}: {len(mine)} trials, none of them to the end", values)
    (context.work / TRIALS).mkdir(exist_ok=True)
    for file in files_of(plan.scratch, [record.number for record in best]):
        shutil.copy2(file, context.work / TRIALS)
    message = (
        f"worker {place}: {len(mine)} trials, {len(done)} to the end; best {context.spec.metric} {best[0].mean:.4g}"
    )
    return Outcome(message, values)
