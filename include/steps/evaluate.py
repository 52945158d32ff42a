"""The step that measures a candidate on the held-out rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from include.automl.page import extended
from include.automl.report.build import REPORT
from include.evaluation.dependence import COLUMNS, partial_dependence
from include.evaluation.explain import permutation_importance, shap_importance
from include.evaluation.fairness import BetweenGroups
from include.evaluation.intervals import Scored, bootstrap_intervals
from include.evaluation.latency import CALLS, single_row_latency, size_mb
from include.evaluation.outputs import write_outputs
from include.evaluation.plots import write_explanation, write_plots
from include.evaluation.report_page import evaluation_sections
from include.features.prepared import Prepared
from include.inference.frames import rows_of
from include.inference.load import load_scorer
from include.inference.scorer import Row, Scorer
from include.specs import ModelSpec
from include.specs.training import METRICS
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url
from include.store.packages import load_package

LINK = "MLflow run"


def run(context: StepContext) -> Outcome:
    """Measure; leaves metrics, importance, dependence, predictions, ``plots/`` and the whole ``report.html``."""
    spec, work = context.spec, context.work
    prepared = Prepared.load(context.path("prepare", "prepared"))
    folder = context.path("search", "package")
    package = load_package(folder)
    scorer, rows = load_scorer(folder, package.manifest), rows_of(prepared.test, prepared.fields)
    scored = Scored(_outputs(scorer, rows), package.manifest.threshold)
    write_outputs(work / "predictions.parquet", prepared.test_target, scored.outputs)
    names = sorted(METRICS[prepared.task], key=lambda name: name != spec.metric)
    target, weights, seed = prepared.test_target, prepared.test_weights, spec.search.seed
    intervals = bootstrap_intervals(names, target, scored, spec.gates.confidence, seed=seed, weights=weights)
    importance = permutation_importance(
        package.estimator, prepared.test, target, spec.metric, seed=seed, weights=weights
    )
    write_plots(work / "plots", target, scored, prepared.classes, importance)
    shap = shap_importance(folder, package.manifest, rows)
    top = [entry["feature"] for entry in importance[:COLUMNS]]
    dependence = partial_dependence(package.estimator, prepared.test, top, seed=seed)
    write_explanation(work / "plots", shap, dependence, prepared.classes)
    latency = single_row_latency(scorer, rows[:CALLS])
    values = {
        "metrics": {name: interval.as_dict() for name, interval in intervals.items()},
        "latency_ms": latency,
        "size_mb": size_mb(folder),
        "differences": _differences(spec, prepared, scored),
    }
    (work / "metrics.json").write_text(json.dumps(values, indent=2), encoding="utf-8")
    (work / "importance.json").write_text(json.dumps(importance, indent=2), encoding="utf-8")
    explained = {"shap": shap, "dependence": dependence}
    (work / "explanation.json").write_text(json.dumps(explained, indent=2), encoding="utf-8")
    searched = context.path("search", REPORT).read_text(encoding="utf-8")
    report = extended(searched, evaluation_sections(values, shap, dependence, work / "plots"))
    (work / REPORT).write_text(report, encoding="utf-8")
    found = intervals[spec.metric]
    message = (
        f"{spec.metric} {found.value:.4g} (from {found.low:.4g} to {found.high:.4g}) on {len(prepared.test)} "
        f"held-out rows; a row takes {latency['p50']:.2g} ms ({scorer.name}); "
        f"most important: {importance[0]['feature']}"
    )
    page = artifact_url(context.platform, spec.name, context.run, context.task, REPORT)
    known = context.result("search").links
    return Outcome(message, values, {"Report": page} | ({LINK: known[LINK]} if LINK in known else {}))


def _differences(spec: ModelSpec, prepared: Prepared, scored: Scored) -> dict[str, float | None]:
    """Return the differences between groups that the search was to keep small, on the held-out rows."""
    found = {}
    for one in spec.search.costs:
        if one.group is None:
            continue
        measure = BetweenGroups(one.metric, spec.metric)
        groups, weights = prepared.test_audit[one.group], prepared.test_weights
        value = measure(prepared.test_target, scored.outputs, groups, weights, scored.threshold)
        found[one.name] = value if np.isfinite(value) else None
    return found


def _outputs(scorer: Scorer, rows: Sequence[Row]) -> Any:
    """Return what metrics take, from the model as it will be served: see `include.automl.bench.outputs_of`."""
    scores = scorer.score(rows)
    return scores[:, 1] if scores.ndim == 2 and scores.shape[1] == 2 else scores
