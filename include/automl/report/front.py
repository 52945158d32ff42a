"""The Pareto front of a search with several objectives, as a table and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.automl.page import PASS, PLAIN, heading, paragraph, table
from include.automl.page import plots as pictures_of
from include.automl.record import Record
from include.automl.result import SearchResult

PICTURE = "pareto_front.png"


def front_sections(result: SearchResult, metric: str, pictures: Path) -> list[str]:
    """Return the section of the report; nothing where there was one objective.

    Args:
        result: of the search.
        metric: name of the first objective.
        pictures: folder of what `draw_front` wrote.
    """
    if not result.costs:
        return []
    chosen = {member.record.number for member in result.members}
    lines = [
        (
            PASS if record.number in chosen else PLAIN,
            (
                f"{record.configuration.family} {record.number}" + (" (chosen)" if record.number in chosen else ""),
                f"{record.mean:.4g}",
                *(f"{record.costs[name]:.3g}" for name in result.costs),
            ),
        )
        for record in _unbeaten(result)
        if record.mean is not None
    ]
    picture = [("Trials by two objectives at a time; the front in colour", pictures / PICTURE)]
    return [
        heading("Pareto front"),
        paragraph(
            "No trial is at least as good as one of these by every objective and better by one. What serving costs was "
            "measured on the model of the first fold, differences between groups on out-of-fold predictions."
        ),
        table(("trial", metric, *result.costs), lines),
        pictures_of((says, file) for says, file in picture if file.is_file()),
    ]


def draw_front(folder: Path, result: SearchResult, metric: str) -> None:
    """Write `PICTURE` into ``folder``: each cost against the metric; nothing where there was one objective."""
    if not result.costs or not result.front:
        return
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    others = [record for record in result.records if record.state == "done" and record.number not in result.front]
    chosen = [member.record for member in result.members]
    figure = Figure(figsize=(5.5, 3.2 * len(result.costs)), layout="constrained")
    for axes, name in zip(figure.subplots(len(result.costs), squeeze=False)[:, 0], result.costs, strict=True):
        for records, style, label in (
            (others, {"color": "grey", "alpha": 0.5, "marker": "."}, "beaten"),
            (_unbeaten(result), {"color": "C0", "marker": "o"}, "front"),
            (chosen, {"edgecolors": "C3", "facecolors": "none", "s": 120}, "in the model"),
        ):
            points = _points(records, name)
            axes.scatter([cost for cost, _ in points], [mean for _, mean in points], label=label, **style)
        axes.set(xlabel=name, ylabel=metric)
        axes.locator_params(axis="x", nbins=5)
    axes.legend()
    figure.savefig(folder / PICTURE, dpi=110)


def _unbeaten(result: SearchResult) -> list[Record]:
    by_number = {record.number: record for record in result.records}
    return [by_number[number] for number in result.front]


def _points(records: Sequence[Record], name: str) -> list[tuple[float, float]]:
    return [(record.costs[name], record.mean) for record in records if name in record.costs and record.mean is not None]
