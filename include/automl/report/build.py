"""The page ``report.html``: first what a search says of itself; the evaluation adds what held-out rows say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from include.automl.leaderboard import leaderboard_table, rows
from include.automl.page import PLAIN, heading, page, paragraph, plots, table
from include.automl.report.effort import by_family, use_of_budget
from include.automl.report.front import front_sections
from include.automl.report.learning import PICTURE
from include.automl.report.why import reasons
from include.automl.result import SearchResult
from include.features.generated import name_of

REPORT = "report.html"
MOST = 40
"""Trials that the page shows; ``leaderboard.html`` has all of them."""


def search_report(
    title: str,
    result: SearchResult,
    metric: str,
    greater_is_better: bool,
    budget: float,
    parallel: int,
    dropped: Mapping[str, str],
    notes: Sequence[str],
    pictures: Path,
) -> str:
    """Return the page, self-contained.

    Args:
        title: of the page.
        result: of the search.
        metric: name of what was optimised.
        greater_is_better: of the metric.
        budget: seconds that the search had.
        parallel: trials at the same time.
        dropped: column → why it is no feature.
        notes: what a person should know of columns that were kept.
        pictures: folder of what `include.automl.leaderboard.write_plots` wrote, and of the learning curve.
    """
    lines = rows(result, greater_is_better)
    weights = {member.record.number: member.weight for member in result.members}
    efforts = [
        (
            PLAIN,
            (
                effort.family,
                f"{effort.seconds:.1f}",
                f"{effort.share:.0%}",
                effort.trials,
                effort.done,
                effort.failed,
                "" if effort.best is None or effort.best.mean is None else f"{effort.best.mean:.4g}",
                f"{effort.weight:.0%}" if effort.weight else "",
            ),
        )
        for effort in by_family(result.records, weights, greater_is_better)
    ]
    left_out = [(PLAIN, (column, reason)) for column, reason in dropped.items()]
    shown = {
        "optimisation_history.png": "Optimisation history: trials by the second they ended, and the best so far",
        "leaderboard.png": "The best trials: mean and deviation over the folds",
        PICTURE: "Learning curve: would more rows help the best single trial?",
    }
    more = f"The best {MOST} of {len(lines)} trials." if len(lines) > MOST else ""
    sections = [
        heading("Why this model"),
        *map(paragraph, reasons(result, metric, greater_is_better)),
        *front_sections(result, metric, pictures),
        heading("Where the time went"),
        table(("", ""), [(PLAIN, row) for row in use_of_budget(result.records, budget, result.seconds, parallel)]),
        table(("family", "fits, s", "share", "trials", "done", "failed", f"best {metric}", "weight"), efforts),
        plots((says, pictures / file) for file, says in shown.items() if (pictures / file).is_file()),
        heading("Leaderboard"),
        *([paragraph(more)] if more else []),
        leaderboard_table(lines[:MOST], metric, result.costs),
        heading("Columns that are no features"),
        table(("column", "why"), left_out) if left_out else paragraph("Every column is a feature."),
        *map(paragraph, [*_columns(result), *notes]),
    ]
    best = "largest" if greater_is_better else "smallest"
    return page(title, f"{metric} in cross-validation, the {best} is best; {len(lines)} trials", sections)


def _columns(result: SearchResult) -> list[str]:
    """Return what the search found out of columns: the generated features, and those that it does without."""
    configurations = [member.record.configuration for member in result.members]
    generated = dict.fromkeys(map(name_of, chain.from_iterable(one.generated for one in configurations)))
    left_out = dict.fromkeys(chain.from_iterable(one.left_out for one in configurations))
    told = []
    if generated:
        told.append(f"Features made of two columns, kept because they paid on unseen rows: {', '.join(generated)}.")
    if left_out:
        told.append(f"Columns that models do without, because they told no more than chance: {', '.join(left_out)}.")
    return told
