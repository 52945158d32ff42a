"""What a search is to do, the same for the step that does all of it and for the workers that share it."""

from __future__ import annotations

import json
import logging
import shutil
from functools import partial
from hashlib import sha256
from pathlib import Path

from include.automl.bench import Configuration
from include.automl.costs import Cost
from include.automl.pool import MakePool, Pool
from include.automl.portfolio import allowed
from include.automl.record import Record
from include.automl.result import ENSEMBLE, configurations
from include.automl.search import Plan
from include.evaluation.fairness import BetweenGroups
from include.evaluation.metrics import metric
from include.registry.lineage import spec_digest
from include.registry.models import Registry
from include.specs import ModelSpec, Platform
from include.specs.params import TrainingParams
from include.specs.training import FAMILIES
from include.steps.context import StepContext
from include.store.runs import place_of

log = logging.getLogger(__name__)
WORKER = "search_worker"
TRIALS = "trials"
"""Folder of a worker's artifacts that holds the predictions and models of its best trials."""


def plan_of(context: StepContext, place: int | None = None) -> tuple[str, Plan, str]:
    """Return the strategy, what to do, and a remark for a person.

    A killed step that runs again finds its trials under the same name; other data, another spec or another champion
    make another name.

    Args:
        context: of the search step, or of a worker's.
        place: which worker it is, from 1; None for the step that does all, or that comes last.
    """
    spec, platform = context.spec, context.platform
    params = context.parse(TrainingParams)
    strategy = params.strategy or _usual(context)
    first = _champions(context) if strategy == "refit" else ()
    note = ""
    if strategy == "refit" and not first:
        strategy, note = "search", "; there is no champion to fit again, so it searched"
    made_of = [context.values("snapshot").get("digest"), spec_digest(spec), *map(repr, first)]
    name = f"{context.run}.{sha256(repr(made_of).encode()).hexdigest()[:8]}"
    home = platform.home / "optuna" / spec.name
    plan = Plan(
        data=context.path("prepare", "prepared"),
        spec=spec,
        objective=metric(spec.metric),
        budget=params.budget or spec.search.budget.total_seconds(),
        storage=platform.optuna_uri.get_secret_value() or str(home / f"{context.run}.log"),
        scratch=home / name,
        name=f"{spec.name}.{name}",
        first=first,
        max_trials=len(first) or None,
        place=place,
        make_pool=_pool(platform),
        costs=costs_asked(spec),
        neighbours=(spec.search.workers or 1) if platform.runtime == "process" and place is not None else 1,
    )
    return strategy, plan, note


def costs_asked(spec: ModelSpec) -> tuple[Cost, ...]:
    """Return what the search is to keep small beside the metric."""
    costs = spec.search.costs
    return tuple(Cost(one, None if one.group is None else BetweenGroups(one.metric, spec.metric)) for one in costs)


def _usual(context: StepContext) -> str:
    """Return the pipeline's own strategy."""
    own = {"model_training": "refit", "model_retraining": context.spec.retraining.strategy}
    return own.get(context.pipeline, "search")


def _champions(context: StepContext) -> tuple[Configuration, ...]:
    """Return what the spec still allows of the champion's configurations; none without one that names its own."""
    champion = Registry(context.platform).get(context.spec.name, "champion")
    if champion is None:
        return ()
    algorithm, parameters = champion.tags.get("factory.algorithm", ""), champion.tags.get("factory.parameters", "{}")
    if algorithm not in (*FAMILIES, ENSEMBLE):
        return ()  # it was trained elsewhere
    found = configurations(algorithm, json.loads(parameters))
    return tuple(one for one in found if allowed(one, context.spec.features))


def _pool(platform: Platform) -> MakePool:
    """Return what makes the workers: processes on this machine, or actors on a Ray cluster."""
    if platform.engines.search == "local":
        return Pool
    from include.automl.ray_pool import RayPool

    return partial(RayPool, address=platform.ray_address)


def gather(context: StepContext, scratch: Path) -> None:
    """Put what the workers of this run predicted and fitted where the search looks for it."""
    for place in range(1, (context.spec.search.workers or 0) + 1):
        task = place_of(WORKER, place)
        found = context.folder.find(task)
        if found is None or not any(name.startswith(f"{TRIALS}/") for name in found.artifacts):
            continue  # it was lost, or tried nothing to the end
        scratch.mkdir(parents=True, exist_ok=True)
        shutil.copytree(context.path(task, TRIALS), scratch, dirs_exist_ok=True)


def say(record: Record) -> None:
    """Log how a trial ended."""
    score = f" {record.mean:.4g}" if record.mean is not None else ""
    log.info("trial %d: %s %s%s", record.number, record.configuration.family, record.state, score)
