"""The step that makes a challenger that answers everything the champion."""

from __future__ import annotations

from include.registry.models import Change, Registry
from include.release.plan import PLAN_FILE, Plan
from include.release.policies import route_at, settled
from include.release.target import same_traffic
from include.release.targets import open_target
from include.specs import FactoryError
from include.steps.context import Outcome, StepContext


def run(context: StepContext) -> Outcome:
    """Promote the challenger of the plan: the route first, then the registry, so that a retry completes either.

    Raises:
        FactoryError: the challenger does not answer everything, or its last step did not end well.
    """
    plan = Plan.load(context.path("plan_release", PLAN_FILE))
    last = context.result(f"shift_{plan.steps[-1]}")
    if last.status != "done":
        raise FactoryError(f"step '{last.step}' of run '{context.run}' ended {last.status}; nothing is promoted")
    target, registry = open_target(context.platform), Registry(context.platform)
    wanted, current = settled(plan.model, plan.challenger), target.current(plan.model)
    if not same_traffic(current, wanted):
        if not same_traffic(current, route_at(plan.model, 100, plan.champion, plan.challenger)):
            raise FactoryError(
                f"the route of '{plan.model}' was changed while version {plan.challenger} was released; "
                "start the deployment again, and let one release run at a time"
            )
        target.route(wanted)
    previous = registry.promote(plan.model, plan.challenger, Change("released", context.run))
    version = registry.require(plan.model, plan.challenger)
    after = f" after version {previous.number}" if previous else ""
    return Outcome(
        f"{version} is the champion{after} and answers everything",
        {"version": version.number, "previous": previous.number if previous else None},
        {"Model version": registry.version_url(version)},
    )
