"""The step that decides what is released, and makes sure that the target can answer with it."""

from __future__ import annotations

from dataclasses import asdict

from include.registry.models import Registry, Version
from include.release.plan import Plan
from include.release.policies import release_steps, settled
from include.release.rows import probe_rows
from include.release.target import Target, same_traffic
from include.release.targets import open_target
from include.specs import ModelSpec
from include.specs.params import DeploymentParams
from include.steps.context import Outcome, StepContext

PRE_FLIGHT_PROBES = 5


def run(context: StepContext) -> Outcome:
    """Plan the release of the version that was asked for, or of the challenger; leaves ``release.json``.

    The version is loaded on the target and answers probes before it may get any traffic. Rejected when there is
    nothing to release, or when the probes fail.
    """
    spec, registry = context.spec, Registry(context.platform)
    target = open_target(context.platform)
    asked = context.parse(DeploymentParams).version
    version = registry.require(spec.name, asked) if asked else registry.get(spec.name, "challenger")
    if version is None:
        return Outcome(
            "there is no challenger: nothing to release; train one, or name a version in the trigger form",
            rejected=True,
        )
    champion = registry.get(spec.name, "champion")
    links = {"Model version": registry.version_url(version)}
    if _serves_already(version, champion, target):
        return Outcome(f"{version} is the champion and answers everything already", links=links, rejected=True)
    plan = _plan(spec, version, champion)
    plan.save(context.work)
    registry.fetch(version)  # refuses what is not as registered; a target on this machine finds it in the cache
    load_ms = target.deploy(spec.name, version.number)
    rows = probe_rows(lambda task, file: context.path(task, file, plan.run))
    report = target.probe(spec.name, rows[:PRE_FLIGHT_PROBES], version=version.number)
    values = {**asdict(plan), "steps": list(plan.steps), "load_ms": load_ms, "probes": report.sent}
    if report.errors:
        reason = f"{report.errors} of {report.sent} probes failed ({report.reason})"
        return Outcome(f"{version} gets no traffic: {reason}", values, links, rejected=True)
    return Outcome(f"{version} is ready on the target '{target.name}'; {_way(plan)}", values, links)


def _serves_already(version: Version, champion: Version | None, target: Target) -> bool:
    if champion is None or champion.number != version.number:
        return False
    return same_traffic(target.current(version.model), settled(version.model, version.number))


def _plan(spec: ModelSpec, version: Version, champion: Version | None) -> Plan:
    before = champion.number if champion is not None and champion.number != version.number else None
    steps = release_steps(spec.release, before)
    return Plan(spec.name, version.number, before, steps, version.run)


def _way(plan: Plan) -> str:
    if plan.champion is None:
        return "the model's first release: it gets all traffic at once"
    return f"it takes over from version {plan.champion} by " + ", ".join(f"{percent} %" for percent in plan.steps)
