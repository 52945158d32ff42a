"""The step that registers a candidate, after the gates let it pass, as the model's challenger."""

from __future__ import annotations

import json
from typing import Any

from include.registry.card import model_card
from include.registry.lineage import code_version, environment_digest, spec_digest
from include.registry.models import Registry, Version
from include.registry.tracking import Tracking
from include.specs import FactoryError
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url
from include.store.packages import MANIFEST, Manifest
from include.store.runs import MissingResultError

CARD = "model_card.md"
DESCRIBED = ("snapshot", "validate", "prepare", "search", "evaluate", "report", "gate")


def run(context: StepContext) -> Outcome:
    """Register the package of `search`; leaves ``model_card.md``.

    Raises:
        FactoryError: the gates have not let the candidate pass.
    """
    steps = {name: _values(context, name) for name in DESCRIBED}
    if (verdict := steps["gate"].get("verdict")) != "pass":
        raise FactoryError(
            f"run '{context.run}': the gates said '{verdict}'; only a candidate that passed is registered"
        )
    spec, platform = context.spec, context.platform
    package = context.path("search", "package")
    manifest = Manifest.model_validate_json((package / MANIFEST).read_bytes())
    tracking, registry = Tracking(platform, spec), Registry(platform)
    mlflow_run = tracking.ensure_run(context.run, context.pipeline)
    tags = _tags(context, steps)
    run_url = tracking.run_url(mlflow_run)
    card = model_card(spec, manifest, steps, _lineage(context, tags, run_url))
    (context.work / CARD).write_text(card, encoding="utf-8")
    tracking.artifacts(mlflow_run, context.work / CARD)
    version = registry.register(
        spec.name, package, context.run, mlflow_run, tags, _description(steps, spec.metric), card
    )
    if _is_news(version, registry):
        version = registry.set_alias(version, "challenger")
    tracking.log(mlflow_run, tags={**tags, "factory.version": str(version.number)})
    tracking.finish(mlflow_run)
    url = registry.version_url(version)
    return Outcome(
        f"registered {version} as {' and '.join(version.aliases) or version.stage.lower()}",
        {"version": version.number, "semantic": version.semantic, "mlflow_run": mlflow_run, "mlflow_url": url},
        {
            "MLflow run": run_url,
            "Model version": url,
            "Model card": artifact_url(platform, spec.name, context.run, context.task, CARD),
        },
    )


def _values(context: StepContext, name: str) -> dict[str, Any]:
    """Return the values of a step; empty for one that this run does not have."""
    try:
        return context.values(name)
    except MissingResultError:
        return {}


def _tags(context: StepContext, steps: dict[str, dict[str, Any]]) -> dict[str, str]:
    search, metrics = steps["search"], steps["evaluate"].get("metrics", {})
    return {
        "factory.pipeline": context.pipeline,
        "factory.snapshot": str(steps["snapshot"].get("digest", "")),
        "factory.spec": spec_digest(context.spec),
        "factory.code": code_version(),
        "factory.environment": environment_digest(),
        "factory.algorithm": str(search.get("algorithm", "")),
        "factory.runtime": str(search.get("packaging", {}).get("runtime", "")),
        "factory.parameters": _canonical(search.get("parameters", {})),
        **{f"factory.metric.{name}": str(metric["value"]) for name, metric in metrics.items()},
    }


def _canonical(parameters: Any) -> str:
    """Return the parameters as JSON with sorted keys: equal ones are equal as text."""
    return json.dumps(json.loads(parameters) if isinstance(parameters, str) else parameters, sort_keys=True)


def _lineage(context: StepContext, tags: dict[str, str], run_url: str) -> dict[str, str]:
    return {
        "Training run": f"`{context.run}`",
        "MLflow run": run_url,
        "Snapshot": f"`{tags['factory.snapshot']}`",
        "Spec": f"`{tags['factory.spec']}`",
        "Code": f"`{tags['factory.code']}`",
        "Environment": f"`{tags['factory.environment']}` (requirements.txt)",
        "Parameters": f"`{tags['factory.parameters']}`",
    }


def _description(steps: dict[str, dict[str, Any]], metric: str) -> str:
    """Return two sentences for the version's page; the card says the rest."""
    found = steps["evaluate"].get("metrics", {}).get(metric, {})
    score = f"{metric} {found['value']:.4g} on held-out rows. " if "value" in found else ""
    return f"{steps['search'].get('algorithm', 'model')}: {score}The model card lies beside the model: `{CARD}`."


def _is_news(version: Version, registry: Registry) -> bool:
    """Tell whether ``version`` is to be the challenger: not when a later one is, nor when it was released before."""
    challenger = registry.get(version.model, "challenger")
    overtaken = challenger is not None and challenger.number > version.number
    return not overtaken and "champion" not in version.aliases and version.stage != "Archived"
