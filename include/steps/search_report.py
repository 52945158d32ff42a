"""The report that the search step leaves: what was found and why, with a learning curve of the best trial."""

from __future__ import annotations

from include.automl.bench import Bench, Options
from include.automl.leaderboard import ranked
from include.automl.report.build import REPORT, search_report
from include.automl.report.learning import PICTURE, draw_learning_curve, learning_curve
from include.automl.search import SearchResult
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.steps.context import StepContext

CURVE_SHARE, CURVE_SECONDS = 0.1, 20.0
"""What the learning curve may take: a share of the budget, and seconds at most; it comes after the budget."""


def write_report(context: StepContext, result: SearchResult, prepared: Prepared, budget: float) -> None:
    """Write ``report.html``, and the learning curve into ``plots``, where the other plots are already."""
    import joblib

    spec, plots = context.spec, context.work / "plots"
    scorer = metric(spec.metric)
    best = next(record for record in ranked(result.records, scorer.greater_is_better) if record.state == "done")
    bench = Bench(prepared, spec.features, scorer, spec.search.folds, spec.search.seed, Options.of(spec))
    seconds = min(CURVE_SHARE * budget, CURVE_SECONDS)
    points = learning_curve(bench, best.configuration, joblib.cpu_count(), seconds)
    draw_learning_curve(plots / PICTURE, points, scorer.name)
    known = context.values("prepare")
    report = search_report(
        f"{spec.name}: report of the search",
        result,
        scorer.name,
        scorer.greater_is_better,
        budget,
        spec.search.parallel,
        known["dropped"],
        known.get("notes", ()),
        plots,
    )
    (context.work / REPORT).write_text(report, encoding="utf-8")
