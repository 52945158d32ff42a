"""The step that gives the challenger its share of the traffic, watches it, and takes the share back if need be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from include.release.health import Counts
from include.release.plan import PLAN_FILE, Plan
from include.release.policies import CHALLENGER, CHAMPION, route_at, settled
from include.release.rows import probe_rows
from include.release.target import Target, same_traffic
from include.release.targets import open_target
from include.release.watch import Observation, Watch
from include.specs import FactoryError
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url
from include.store.runs import MissingResultError

HEALTH = "health.json"


def run(context: StepContext) -> Outcome:
    """Shift to the percentage that the task is named after (``shift_10``); leaves ``health.json``.

    A challenger that does not do well gives its share back to the champion, and the step ends rejected.
    """
    percent = _percent(context.task)
    plan = Plan.load(context.path("plan_release", PLAN_FILE))
    if percent not in plan.steps:
        return _nothing_to_shift(plan, percent)
    target = open_target(context.platform)
    wanted = route_at(plan.model, percent, plan.champion, plan.challenger)
    if not same_traffic(target.current(plan.model), wanted):
        target.route(wanted)
    watch = Watch(
        target,
        plan.model,
        context.spec.release,
        context.spec.experiment,
        _earlier(context, plan, percent),
        lambda: probe_rows(lambda task, file: context.path(task, file, plan.run)),
    )
    seen = watch.run()
    (context.work / HEALTH).write_text(json.dumps({"percent": percent, **seen.as_dict()}, indent=2), encoding="utf-8")
    values = {
        "percent": percent,
        "requests": seen.challenger.requests,
        "errors": seen.challenger.errors,
        "p95_ms": seen.challenger.latency_ms.get("p95"),
        "probes": seen.probes,
        "comparison": seen.finding.as_dict() if seen.finding else None,
        "counts": _counts(seen),
    }
    links = {"Health": artifact_url(context.platform, plan.model, context.run, context.task, HEALTH)}
    if seen.objection is None:
        return Outcome(_good_news(plan, seen, percent), values, links)
    restored = _restore(target, plan)
    message = f"version {plan.challenger} at {percent} % does not do well: {seen.objection}; {restored}"
    return Outcome(message, values, links, rejected=True)


def _percent(task: str) -> int:
    head, _, percent = task.rpartition("_")
    if head != "shift" or not percent.isdigit():
        raise FactoryError(f"task '{task}' does not say how far to shift; call it shift_<percent>, such as shift_10")
    return int(percent)


def _nothing_to_shift(plan: Plan, percent: int) -> Outcome:
    steps = ", ".join(f"{step} %" for step in plan.steps)
    why = "there is no champion to share the traffic with" if plan.champion is None else f"the plan says {steps}"
    values = {"percent": percent, "requests": 0, "errors": 0, "p95_ms": None, "probes": 0, "comparison": None}
    return Outcome(f"nothing to do at {percent} %: {why}", values)


def _earlier(context: StepContext, plan: Plan, percent: int) -> dict[str, Counts]:
    """Return what the steps before this one counted, so that the experiment is one over the whole release."""
    total: dict[str, Counts] = {}
    for step in plan.steps[: plan.steps.index(percent)]:
        try:
            counted: Mapping[str, Mapping[str, int]] = context.values(f"shift_{step}").get("counts", {})
        except MissingResultError:
            continue
        for variant, counts in counted.items():
            total[variant] = total.get(variant, Counts()) + Counts(**counts)
    return total


def _counts(seen: Observation) -> dict[str, dict[str, int]]:
    arms = {CHAMPION: seen.champion, CHALLENGER: seen.challenger}
    return {name: asdict(Counts.of(statistics)) for name, statistics in arms.items() if statistics is not None}


def _restore(target: Target, plan: Plan) -> str:
    """Take the challenger's traffic away, and say so."""
    if plan.champion is None:
        return "there is no version to go back to, so it goes on answering; release another one"
    target.route(settled(plan.model, plan.champion))
    return f"version {plan.champion} answers everything again"


def _good_news(plan: Plan, seen: Observation, percent: int) -> str:
    p95 = seen.challenger.latency_ms.get("p95")
    latency = f", p95 {p95:.1f} ms" if p95 is not None else ""
    return (
        f"version {plan.challenger} does well at {percent} %: {seen.challenger.requests} requests "
        f"({seen.probes} probes sent), {seen.challenger.errors} errors{latency}"
    )
