"""One of the tasks that share a search: it tries configurations until the deadline that all of them have."""

from __future__ import annotations

import re
import shutil

from include.automl.search import take_part
from include.automl.worker import oof_file
from include.specs import FactoryError
from include.steps.context import Outcome, StepContext
from include.steps.search_plan import OOF, WORKER, plan_of, say


def run(context: StepContext) -> Outcome:
    """Run trials; leaves the out-of-fold predictions of the best one of this worker.

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
    best = max(done, key=lambda record: sign * (record.mean or 0.0), default=None)
    values = {"place": place, "trials": len(mine), "done": len(done), "best": best.number if best else None}
    if best is None:
        return Outcome(f"worker {place}: {len(mine)} trials, none of them to the end", values)
    for fold in range(len(best.scores)):
        if (file := oof_file(plan.scratch, best.number, fold)).exists():
            (context.work / OOF).mkdir(exist_ok=True)
            shutil.copy2(file, context.work / OOF)
    message = f"worker {place}: {len(mine)} trials, {len(done)} to the end; best {context.spec.metric} {best.mean:.4g}"
    return Outcome(message, values)
