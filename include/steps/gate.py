"""The step that decides, on the evidence, whether a candidate may be registered."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from include.evaluation.gate_page import gate_page
from include.evaluation.gates import (
    Gate,
    GateReport,
    champion_gate,
    drift_gate,
    limit_gate,
    quality_gate,
    threshold_gates,
)
from include.evaluation.intervals import Interval, Scored
from include.evaluation.outputs import read_outputs
from include.features.prepared import Prepared
from include.features.sides import trained_on
from include.registry.models import Registry
from include.registry.tracking import Tracking
from include.steps.champion import champions_rows
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url

HTML, JSON = "gates.html", "gates.json"


def run(context: StepContext) -> Outcome:
    """Hold the candidate against its gates; leaves ``gates.json`` and ``gates.html``, and logs all of it to MLflow."""
    spec = context.spec
    evaluated, reported = context.values("evaluate"), context.values("report")
    champion, against = _champion(context)
    gates = [
        *threshold_gates(spec.gates, evaluated["metrics"]),
        *([against[0]] if against else []),
        drift_gate(spec.gates, reported),
        quality_gate(reported),
        limit_gate("latency", evaluated["latency_ms"]["p95"], spec.gates.max_latency_ms, "ms", "p95 of a single row"),
        limit_gate("size", evaluated["size_mb"], spec.gates.max_size_mb, "MiB", "what serving reads"),
    ]
    report = GateReport(tuple(gates))
    difference = against[1] if against else None
    values: dict[str, Any] = {
        "verdict": report.verdict,
        "gates": [asdict(gate) for gate in gates],
        "champion": champion,
        "comparison": {**difference.as_dict(), "metric": spec.metric} if difference else None,
    }
    (context.work / JSON).write_text(json.dumps(values, indent=2), encoding="utf-8")
    facts = {**context.values("prepare"), **context.values("search"), "champion": champion}
    page = gate_page(spec.name, context.run, report, facts, evaluated["metrics"])
    (context.work / HTML).write_text(page, encoding="utf-8")
    links = {
        "Gate report": artifact_url(context.platform, spec.name, context.run, context.task, HTML),
        "MLflow run": _log(context, report, evaluated, reported, difference),
    }
    return Outcome(_message(report), values, links, rejected=report.verdict == "fail")


def _champion(context: StepContext) -> tuple[int | None, tuple[Gate, Interval | None] | None]:
    """Return the champion's number, and the comparison with it; None where there is none, or the spec asks for none."""
    spec = context.spec
    registry = Registry(context.platform)
    champion = registry.get(spec.name, "champion")
    if champion is None or spec.gates.beat_champion == "off":
        return champion.number if champion else None, None
    prepared = Prepared.load(context.path("prepare", "prepared"))
    _, outputs = read_outputs(context.path("evaluate", "predictions.parquet"))
    candidate = Scored(np.asarray(outputs), float(context.values("search")["threshold"]))
    package, earlier = registry.package(champion), champions_rows(context, champion)
    seen = None if earlier is None else trained_on(earlier, prepared)
    return champion.number, champion_gate(spec.gates, spec.metric, prepared, candidate, package, champion.number, seen)


def _message(report: GateReport) -> str:
    if report.verdict == "pass":
        return f"all {len(report.gates)} gates passed"
    reasons = "; ".join(f"{gate.name}: {gate.message}" for gate in report.failed)
    return f"{len(report.failed)} of {len(report.gates)} gates failed. {reasons}"


def _log(
    context: StepContext,
    report: GateReport,
    evaluated: dict[str, Any],
    reported: dict[str, Any],
    difference: Interval | None,
) -> str:
    """Log evaluation, report and gates to the training run's MLflow run, and return its URL."""
    tracking = Tracking(context.platform, context.spec)
    run_id = tracking.ensure_run(context.run, context.pipeline)
    metrics = {
        f"{name}{suffix}": found[key]
        for name, found in evaluated["metrics"].items()
        for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high"))
    }
    metrics |= {f"latency_{name}_ms": value for name, value in evaluated["latency_ms"].items()}
    metrics |= {"size_mb": evaluated["size_mb"], "drift_share": reported["drift_share"]}
    if difference is not None:
        metrics |= {
            f"better_than_champion{key}": value
            for key, value in zip(
                ("", "_low", "_high"), (difference.value, difference.low, difference.high), strict=True
            )
        }
    tracking.log(run_id, metrics=metrics, tags={"factory.verdict": report.verdict})
    for task, artifact, folder in (
        ("evaluate", "plots", "plots"),
        ("evaluate", "metrics.json", "evaluation"),
        ("evaluate", "importance.json", "evaluation"),
        ("evaluate", "explanation.json", "evaluation"),
        ("evaluate", "report.html", "report"),
        ("report", "evidently.html", "evidently"),
        ("report", "evidently.json", "evidently"),
    ):
        tracking.artifacts(run_id, context.path(task, artifact), folder)
    tracking.artifacts(run_id, context.work, "gates")
    if report.verdict == "fail":
        tracking.finish(run_id)
    return tracking.run_url(run_id)
