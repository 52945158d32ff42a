"""What a person sees of a search: the leaderboard as JSON and HTML, and two plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.automl.page import FAIL, PASS, PLAIN, page, table
from include.automl.record import Record
from include.automl.search import SearchResult

_MARKS = {"done": PASS, "failed": FAIL}
_TOP = 15


def ranked(records: Sequence[Record], greater_is_better: bool) -> list[Record]:
    """Return the trials that are done, the best first, and after them the others by number."""
    sign = -1.0 if greater_is_better else 1.0

    def place(record: Record) -> tuple[bool, float, int]:
        done = record.state == "done" and record.mean is not None
        return (not done, sign * (record.mean or 0.0) if done else 0.0, record.number)

    return sorted(records, key=place)


def rows(result: SearchResult, greater_is_better: bool) -> list[dict[str, Any]]:
    """Return one JSON-ready row a trial, in the order of `ranked`."""
    weights = {member.record.number: member.weight for member in result.members}
    return [
        {
            "rank": place if record.state == "done" else None,
            "trial": record.number,
            "family": record.configuration.family,
            "state": record.state,
            "mean": record.mean,
            "std": record.std,
            "folds": list(record.scores),
            "fit_seconds": round(record.fit_seconds, 3),
            "params": record.configuration.params,
            "chosen": record.number in weights,
            "weight": weights.get(record.number),
            "stacked": record.number in weights and result.stack is not None,
            "reason": record.reason,
            **({"costs": record.costs, "front": record.number in result.front} if result.costs else {}),
        }
        for place, record in enumerate(ranked(result.records, greater_is_better), start=1)
    ]


def write_leaderboard(folder: Path, result: SearchResult, title: str, metric: str, greater_is_better: bool) -> None:
    """Write ``leaderboard.json`` and ``leaderboard.html`` into ``folder``."""
    lines = rows(result, greater_is_better)
    (folder / "leaderboard.json").write_text(json.dumps(lines, indent=2), encoding="utf-8")
    done = sum(record.state == "done" for record in result.records)
    best = "largest" if greater_is_better else "smallest"
    lead = f"{len(lines)} trials, {done} of them to the end, in {result.seconds:.1f} s; {metric}, the {best} is best"
    if result.stack is not None:
        lead += "; weights are shares of those of a second model over the stacked trials"
    sections = [leaderboard_table(lines, metric, result.costs)]
    (folder / "leaderboard.html").write_text(page(title, lead, sections), encoding="utf-8")


def leaderboard_table(lines: Sequence[dict[str, Any]], metric: str, costs: Sequence[str] = ()) -> str:
    """Return the table of what `rows` returned, as HTML; ``costs`` are the objectives beside the metric."""
    cells = [
        (
            _MARKS.get(line["state"], PLAIN),
            (
                line["rank"] or "",
                line["family"] + _chosen(line),
                f"{line['weight']:.0%}" if line["weight"] is not None else "",
                _score(line["mean"], line["std"]),
                *(_score(line["costs"].get(name), None) for name in costs),
                *(["front" if line["front"] else ""] if costs else []),
                line["state"] + (f": {line['reason']}" if line["reason"] else ""),
                f"{line['fit_seconds']:.1f}",
                ", ".join(f"{name} {_number(value)}" for name, value in line["params"].items()),
            ),
        )
        for line in lines
    ]
    several = (*costs, "Pareto") if costs else ()
    score = f"{metric}, mean ± deviation over folds"
    head = ("", "family", "weight", score, *several, "state", "fit, s", "parameters")
    return table(head, cells)


def _chosen(line: dict[str, Any]) -> str:
    return " (stacked)" if line["stacked"] else " (chosen)" if line["chosen"] else ""


def write_plots(folder: Path, records: Sequence[Record], metric: str, greater_is_better: bool) -> None:
    """Write ``optimisation_history.png`` and ``leaderboard.png`` into ``folder``."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    best_first = [record for record in ranked(records, greater_is_better) if record.state == "done"]
    history = Figure(figsize=(7, 4), layout="constrained")
    _draw_history(history.subplots(), sorted(best_first, key=lambda record: record.ended), metric, greater_is_better)
    history.savefig(folder / "optimisation_history.png", dpi=110)
    top = best_first[:_TOP][::-1]
    bars = Figure(figsize=(7, 0.6 + 0.3 * len(top)), layout="constrained")
    axes = bars.subplots()
    names = [f"{record.configuration.family} {record.number}" for record in top]
    axes.errorbar([r.mean or 0.0 for r in top], names, xerr=[r.std or 0.0 for r in top], fmt="o", capsize=3)
    axes.set_xlabel(f"{metric}: mean and deviation over folds")
    bars.savefig(folder / "leaderboard.png", dpi=110)


def _draw_history(axes: Any, by_time: Sequence[Record], metric: str, greater_is_better: bool) -> None:
    better = max if greater_is_better else min
    begin = by_time[0].started if by_time else 0.0
    for family in dict.fromkeys(record.configuration.family for record in by_time):
        mine = [record for record in by_time if record.configuration.family == family]
        axes.plot([r.ended - begin for r in mine], [r.mean for r in mine], "o", label=family)
    means = [record.mean for record in by_time if record.mean is not None]
    reached = [better(means[: place + 1]) for place in range(len(means))]
    axes.step([r.ended - begin for r in by_time], reached, where="post", color="grey", label="best so far")
    axes.set_xlabel("seconds")
    axes.set_ylabel(metric)
    axes.legend()


def _score(mean: float | None, std: float | None) -> str:
    return "" if mean is None else _number(mean) + (f" ± {_number(std)}" if std is not None else "")


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
