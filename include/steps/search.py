"""The step that looks for the best model, or fits the champion's configuration again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from include.automl.costs import Answered, costs_of
from include.automl.leaderboard import ranked, write_leaderboard, write_plots
from include.automl.pareto import excess
from include.automl.record import Record
from include.automl.report.build import REPORT
from include.automl.report.front import draw_front
from include.automl.search import Plan, SearchResult, forget, search
from include.evaluation.metrics import best_threshold, metric
from include.evaluation.outputs import write_outputs
from include.features.prepared import Prepared
from include.inference.choice import Choice
from include.inference.choose import choose_runtime, size_mb
from include.inference.frames import rows_of
from include.inference.scorer import Row
from include.registry.tracking import ChildRun, Status, Tracking
from include.specs import ModelSpec
from include.steps.context import Outcome, StepContext
from include.steps.optimisation import optimise
from include.steps.search_plan import gather, plan_of, say
from include.steps.search_report import write_report
from include.store.links import artifact_url
from include.store.packages import ESTIMATOR, Field, Manifest, load_package, save_manifest

_STATUS: dict[str, Status] = {"done": "FINISHED", "failed": "FAILED"}


MOST_CHARACTERS = 6000
"""Characters of a parameter that MLflow takes."""
MOST_CHILDREN = 25
"""Trials that become runs in MLflow, the best ones: each takes several requests. The leaderboard has all of them."""


def run(context: StepContext) -> Outcome:
    """Search, refit and save; leaves the package, the leaderboard, out-of-fold predictions and plots."""
    spec, platform = context.spec, context.platform
    tracking = Tracking(platform, spec)
    run_id = tracking.ensure_run(context.run, context.pipeline)
    strategy, plan, note = plan_of(context)
    gather(context, plan.scratch)
    prepared = Prepared.load(context.path("prepare", "prepared"))
    package = context.work / "package"
    with tracking.system_metrics(run_id):
        result = search(plan, say)
        choice, threshold = _packaged(context, prepared, result, package)
        costs = _costs(plan, choice, prepared, result, threshold)
        while plan.ensemble and (reason := _refused(choice, package, spec) or _exceeded(costs, plan)):
            plan, told = _simpler(plan, result, reason)
            note += told
            result = search(plan, say)
            shutil.rmtree(package)
            choice, threshold = _packaged(context, prepared, result, package)
            costs = _costs(plan, choice, prepared, result, threshold)
        result = _judged(result, costs, plan)
    target = prepared.train_target[result.oof.rows]
    choice = optimise(package, load_package(package), choice, prepared, spec)
    values = {**_values(spec, strategy, result, threshold, run_id), "packaging": choice.model_dump()}
    if plan.costs:
        values["objectives"] = costs
    if (verdict := result.verdict) is not None:
        values["second_model"] = {"taken": verdict.stack is not None, "told": verdict.told(spec.metric)}
    _write(context, values, result, target)
    write_report(context, result, prepared, plan.budget)
    _log(context, tracking, run_id, values, plan, result, prepared)
    forget(plan.scratch)
    links = {"MLflow run": tracking.run_url(run_id)} | {
        title: artifact_url(platform, spec.name, context.run, context.task, file)
        for title, file in (("Search report", REPORT), ("Leaderboard", "leaderboard.html"))
    }
    note += "".join(f"; {line}" for line in result.notes)
    return Outcome(_message(spec, values) + note, values, links)


def _packaged(context: StepContext, prepared: Prepared, result: SearchResult, package: Path) -> tuple[Choice, float]:
    """Write the package with the fastest runtime that can serve it; return that choice and the threshold."""
    spec, oof = context.spec, result.oof
    threshold = 0.5
    if prepared.task == "binary":
        weights = None if prepared.train_weights is None else prepared.train_weights[oof.rows]
        threshold = best_threshold(spec.metric, prepared.train_target[oof.rows], oof.outputs, weights)
    package.mkdir()
    shutil.copy2(result.file, package / ESTIMATOR)
    save_manifest(package, _manifest(context, prepared, result, threshold))
    rows = _real_rows(prepared, spec.packaging.rows)
    return choose_runtime(package, load_package(package), rows, spec.packaging), threshold


def _refused(choice: Choice, package: Path, spec: ModelSpec) -> str:
    """Return why a gate would refuse the package, or nothing."""
    served = next(candidate for candidate in choice.candidates if candidate.runtime == choice.runtime)
    if (taken := served.one_ms or 0.0) > spec.gates.max_latency_ms:
        return f"takes {taken:.3g} ms a row (gates.max_latency_ms: {spec.gates.max_latency_ms:g})"
    if (size := size_mb(package)) > spec.gates.max_size_mb:
        return f"has {size:.3g} MB (gates.max_size_mb: {spec.gates.max_size_mb:g})"
    return ""


def _costs(plan: Plan, choice: Choice, prepared: Prepared, result: SearchResult, threshold: float) -> dict[str, float]:
    """Return the objectives beside the metric, as measured of the packaged model and its out-of-fold predictions."""
    served = next(candidate for candidate in choice.candidates if candidate.runtime == choice.runtime)
    return costs_of(plan.costs, served, prepared, Answered(result.oof.rows, result.oof.outputs, threshold))


def _exceeded(costs: dict[str, float], plan: Plan) -> str:
    """Return which bound of the spec's objectives the model exceeds, or nothing."""
    over = [name for name, _ in excess(costs, plan.costs)]
    shown = [f"{cost.name} {costs[cost.name]:.3g} (at most {cost.bound:g})" for cost in plan.costs if cost.name in over]
    return f"has {' and '.join(shown)}" if shown else ""


def _judged(result: SearchResult, costs: dict[str, float], plan: Plan) -> SearchResult:
    """Return ``result`` with a line on the bounds of the spec's objectives, where it has some."""
    if all(cost.bound is None for cost in plan.costs):
        return result
    line = f"the model {_exceeded(costs, plan) or 'is within every bound of search.objectives'}"
    return replace(result, notes=(*result.notes, line))


def _simpler(plan: Plan, result: SearchResult, reason: str) -> tuple[Plan, str]:
    """Return the plan of a quicker and smaller model than an ensemble's, and a remark that gives the ``reason``."""
    if result.stack is not None:
        return replace(plan, may_stack=False), f"; the stack {reason}, so that the weighted mean takes its place"
    only = plan.spec.search.model_copy(update={"ensemble": False})
    spec = plan.spec.model_copy(update={"search": only})
    return replace(plan, spec=spec), f"; the ensemble {reason}, so that the best trial alone is the model"


def _real_rows(prepared: Prepared, count: int) -> list[Row]:
    """Return up to ``count`` rows, spread evenly: half of them held out, where there are enough."""
    sides = (prepared.test, prepared.train)
    held = min(len(prepared.test), max(count // 2, count - len(prepared.train)))
    picked = (
        side.iloc[np.linspace(0, len(side) - 1, min(many, len(side))).astype(int)]
        for side, many in zip(sides, (held, count - held), strict=True)
    )
    return [row for frame in picked for row in rows_of(frame, prepared.fields)]


def _manifest(context: StepContext, prepared: Prepared, result: SearchResult, threshold: float) -> Manifest:
    data, dropped = context.spec.data, context.values("prepare")["dropped"]
    return Manifest(
        model=context.spec.name,
        task=prepared.task,
        target=context.spec.problem.target,
        features=_features(prepared, result),
        classes=prepared.classes,
        threshold=threshold,
        algorithm=result.algorithm,
        run=context.run,
        trained_at=datetime.now(UTC),
        feature_service=getattr(data.source, "service", None),
        ignored=tuple(dict.fromkeys(name for name in (data.id, data.time, data.group, *dropped) if name)),
    )


def _features(prepared: Prepared, result: SearchResult) -> tuple[Field, ...]:
    """Return the columns, those marked that every trial in the model leaves out."""
    left_out = set.intersection(*(set(member.record.configuration.left_out) for member in result.members))
    return tuple(field.model_copy(update={"used": field.name not in left_out}) for field in prepared.fields)


def _values(spec: ModelSpec, strategy: str, result: SearchResult, threshold: float, run_id: str) -> dict[str, Any]:
    return {
        "algorithm": result.algorithm,
        "parameters": json.dumps(result.parameters, sort_keys=True),
        "metric": spec.metric,
        "cv": {"mean": result.mean, "std": result.std, "folds": list(result.scores)},
        "threshold": threshold,
        "trials": len(result.records),
        "seconds": round(result.seconds, 2),
        "strategy": strategy,
        "mlflow_run": run_id,
    }


def _write(context: StepContext, values: dict[str, Any], result: SearchResult, target: Any) -> None:
    work, scorer = context.work, metric(context.spec.metric)
    (work / "candidate.json").write_text(json.dumps(values, indent=2), encoding="utf-8")
    write_leaderboard(
        work, result, f"{context.spec.name}: leaderboard of the search", scorer.name, scorer.greater_is_better
    )
    write_plots(work / "plots", result.records, scorer.name, scorer.greater_is_better)
    draw_front(work / "plots", result, scorer.name)
    oof = result.oof
    write_outputs(work / "oof.parquet", target, oof.outputs, row=oof.rows, fold=oof.folds)


def _log(
    context: StepContext,
    tracking: Tracking,
    run_id: str,
    values: dict[str, Any],
    plan: Plan,
    result: SearchResult,
    prepared: Prepared,
) -> None:
    """Log the search under the training run: one child for the search, and one under that for each trial."""
    spec, snapshot = context.spec, context.values("snapshot")
    name = spec.metric
    params = {
        "algorithm": values["algorithm"],
        "parameters": values["parameters"][:MOST_CHARACTERS],
        "strategy": values["strategy"],
        "metric": name,
        "budget_seconds": plan.budget,
        "folds": len(result.scores),
        "seed": spec.search.seed,
        "snapshot": snapshot["digest"],
    }
    metrics = {f"cv_{name}_mean": values["cv"]["mean"], f"cv_{name}_std": values["cv"]["std"]}
    tracking.log(run_id, params, {**metrics, "search_seconds": values["seconds"], "trials": values["trials"]})
    tracking.dataset(
        run_id,
        name=f"{spec.name} snapshot",
        digest=snapshot["digest"],
        source=f"{context.store.uri}/{snapshot['path']}",
        columns={field.name: field.type for field in prepared.fields},
        rows=snapshot["rows"],
    )
    began, ended = (
        datetime.fromtimestamp(edge(getattr(record, side) for record in result.records), UTC)
        for edge, side in ((min, "started"), (max, "ended"))
    )
    child = ChildRun("search", "search", params, metrics, started=began, ended=ended)
    best = ranked(result.records, metric(name).greater_is_better)[:MOST_CHILDREN]
    (search_id,) = tracking.children(run_id, [child])
    tracking.children(search_id, [_trial(name, record) for record in sorted(best, key=lambda record: record.number)])
    for file in (REPORT, "leaderboard.html", "leaderboard.json", "plots", "candidate.json"):
        tracking.artifacts(run_id, context.work / file, "search/plots" if file == "plots" else "search")


def _trial(name: str, record: Record) -> ChildRun:
    return ChildRun(
        key=str(record.number),
        name=f"{record.configuration.family} {record.number}",
        params={"family": record.configuration.family, **record.configuration.params},
        metrics={f"cv_{name}_mean": record.mean, f"cv_{name}_std": record.std, "fit_seconds": record.fit_seconds},
        tags={"state": record.state, **({"reason": record.reason[:500]} if record.reason else {})},
        status=_STATUS.get(record.state, "KILLED"),
        started=datetime.fromtimestamp(record.started, UTC),
        ended=datetime.fromtimestamp(record.ended or record.started, UTC),
    )


def _message(spec: ModelSpec, values: dict[str, Any]) -> str:
    cv = values["cv"]
    spread = f" ± {cv['std']:.2g}" if cv["std"] is not None else ""
    stacked = ", stacked" if values.get("second_model", {}).get("taken") else ""
    return (
        f"{values['algorithm']}{stacked}: {spec.metric} {cv['mean']:.4g}{spread} in cross-validation; "
        f"{values['trials']} trials in {values['seconds']:.0f} s"
    )
