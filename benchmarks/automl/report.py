"""The summary of a table of cells, as Markdown for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.automl.cells import OVERRUN
from benchmarks.automl.datasets import DATASETS
from benchmarks.automl.summary import Found
from benchmarks.automl.systems import SYSTEMS


def markdown(found: Found) -> str:
    """Return what `benchmarks.automl.summary.summarise` found."""
    parts = ["## Goals", *_goals(found)]
    for kind, budgets in (("", found["budgets"]), ("blind ", found["blind"])):
        for budget, part in budgets.items():
            parts += [f"## {budget} s: {part['datasets']} {kind}data sets, {part['splits']} splits of every system"]
            parts += [*_systems(part), *_comparisons(part), *_score_table(part), *_failures(part)]
    for pair in found["more_time"]:
        parts += _more_time(pair)
    parts += ["## Machine and versions", *_circumstances(found)]
    return "\n".join(parts) + "\n"


def _goals(found: Found) -> Iterator[str]:
    rows = []
    for goal in found["goals"]:
        verdict = "not measured" if goal["value"] is None else "held" if goal["held"] else "**missed**"
        rows.append((goal["title"], goal["bound"], _number(goal["value"]), verdict))
    return _table(("goal", "bound", "measured", ""), rows)


def _systems(part: Found) -> Iterator[str]:
    head = ("system", "mean rank", "failures", f"fits over {OVERRUN:g} x the budget", "longest fit / budget")
    costs = ("fit s", "package s", "test set s", "a row ms", "peak MiB")
    rows = [
        (
            SYSTEMS[name].title,
            _interval(seen["rank"]),
            f"{len(seen['failures'])} of {seen['cells']}",
            str(seen["overruns"]),
            *map(_number, (seen["longest"], seen["fit_seconds"], seen["package_seconds"], seen["predict_seconds"])),
            *map(_number, (seen["one_row_ms"], seen["peak_mib"])),
        )
        for name, seen in part["systems"].items()
    ]
    yield from _table((*head, *costs), rows)
    yield "Mean rank: with its 95 % interval over data sets. Costs are medians over the cells."


def _comparisons(part: Found) -> Iterator[str]:
    head = ("ours against", "win", "tie", "loss", "points", "better, noise or not", "a row, theirs / ours", "test set")
    rows = [
        (
            SYSTEMS[name].title,
            *(str(seen[verdict]) for verdict in ("win", "tie", "loss")),
            _interval(seen["points"]),
            _number(seen["better"]),
            _interval(seen["one_row"]),
            _interval(seen["predict"]),
        )
        for name, seen in part["against"].items()
        if seen is not None
    ]
    if rows:
        yield from _table(head, rows)
        yield "A tie: the 95 % interval of the paired difference on the test rows holds 0. Points: a tie counts half."


def _score_table(part: Found) -> Iterator[str]:
    systems = list(part["systems"])
    rows = []
    for dataset, scores in part["scores"].items():
        marks = [_mark(part, dataset, name) for name in systems]
        shown = [_number(scores[name], 5) + mark for name, mark in zip(systems, marks, strict=True)]
        rows.append((dataset, DATASETS[dataset].metric, *shown))
    yield from _table(("data set", "metric", *(SYSTEMS[name].title for name in systems)), rows)
    yield "Mean over the seeds. + and -: ours wins, or loses, against this system there; no mark: a tie."
    yield ""


def _more_time(pair: Found) -> Iterator[str]:
    less, more = pair["budgets"]
    yield f"## Ours at {more} s against ours at {less} s, on the splits that have both"
    counts = ", ".join(f"{pair[verdict]} {verdict}" for verdict in ("win", "tie", "loss"))
    yield from ("", f"{counts}; points {_interval(pair['points'])}; better, noise or not: {_number(pair['better'])}")
    rows = [
        (
            dataset,
            DATASETS[dataset].metric,
            _number(scores[less], 5),
            _number(scores[more], 5),
            pair["datasets"][dataset]["verdict"],
        )
        for dataset, scores in pair["scores"].items()
    ]
    yield from _table(("data set", "metric", f"{less} s", f"{more} s", "verdict"), rows)


def _mark(part: Found, dataset: str, name: str) -> str:
    seen = (part["against"].get(name) or {}).get("datasets", {}).get(dataset)
    return {"win": " +", "loss": " -"}.get(seen["verdict"], "") if seen else ""


def _failures(part: Found) -> Iterator[str]:
    lines = [f"- {SYSTEMS[name].title}: {line}" for name, seen in part["systems"].items() for line in seen["failures"]]
    if lines:
        yield from ("", "Failures:", "", *lines, "")


def _circumstances(found: Found) -> Iterator[str]:
    yield ""
    dates = " to ".join(dict.fromkeys(found["dates"]))
    yield f"- {found['cells']} cells, {dates}; all else kept at most {found['others']:.2f} cores busy"
    yield from (f"- machine: {machine}" for machine in found["machines"])
    for name, versions in found["versions"].items():
        packages = ", ".join(f"{package} {version}" for package, version in found["packages"][name].items())
        yield f"- {SYSTEMS[name].title}: {', '.join(versions)} ({packages})"


def _interval(value: Found | None) -> str:
    return "" if value is None else f"{value['value']:.3g} ({value['low']:.3g} to {value['high']:.3g})"


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
