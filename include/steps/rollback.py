"""The step that undoes a release that failed: the champion before answers everything again."""

from __future__ import annotations

from include.registry.models import Change, Registry
from include.release.plan import PLAN_FILE, Plan
from include.release.policies import settled
from include.release.target import Target, same_traffic
from include.release.targets import open_target
from include.steps.context import Outcome, StepContext
from include.store.artifacts import ArtifactError


def run(context: StepContext) -> Outcome:
    """Restore the champion of the plan; safe when nothing was shifted, and when another release came since."""
    try:
        plan = Plan.load(context.path("plan_release", PLAN_FILE))
    except ArtifactError:
        return Outcome("nothing was released, so there is nothing to undo", {"restored": None, "reason": ""})
    reason = _reason(context)
    done = _restore(open_target(context.platform), plan)
    registry = Registry(context.platform)
    champion = registry.get(plan.model, "champion")
    change = Change(f"rolled back: {reason}", context.run)
    if plan.champion is not None and champion is not None and champion.number == plan.challenger:
        registry.promote(plan.model, plan.champion, change)
        done += f"; version {plan.champion} is the champion again"
    challenger = registry.require(plan.model, plan.challenger)
    registry.record(challenger, "rolled_back", change)
    return Outcome(
        f"{done}. {reason}",
        {"restored": plan.champion, "reason": reason},
        {"Model version": registry.version_url(challenger)},
    )


def _restore(target: Target, plan: Plan) -> str:
    """Take the traffic away from the challenger if it has any, and say what was done."""
    current = target.current(plan.model)
    if plan.champion is not None and same_traffic(current, settled(plan.model, plan.champion)):
        return f"version {plan.champion} answers everything"
    if current is None and plan.champion is None:
        return "there is no earlier version, and the model is not served"
    if current is None or str(plan.challenger) not in {variant.version for variant in current.variants}:
        return "the route is another release's by now and stays as it is"
    if plan.champion is None:
        target.withdraw(plan.model)
        return "there is no earlier version to go back to, so the model is taken out"
    wanted = settled(plan.model, plan.champion)
    target.route(wanted)
    return f"version {plan.champion} answers everything again"


def _reason(context: StepContext) -> str:
    """Return the message of the first step of the release that did not end well."""
    steps = sorted({*context.spec.release.steps, 100})
    for task in (*(f"shift_{percent}" for percent in steps), "promote"):
        result = context.folder.find(task)
        if result is not None and result.status != "done":
            return result.message
    return "a step left no result; its log says why"
