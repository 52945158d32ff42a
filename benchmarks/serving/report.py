"""A run as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.serving.goals import goals as goals_of
from benchmarks.serving.goals import latency, per_second
from benchmarks.serving.result import Result
from benchmarks.serving.systems import LOADS, SYSTEMS
from benchmarks.serving.wrk import Load


def markdown(result: Result) -> str:
    """Return goals, tables and machine."""
    parts = ["## Goals", *_goals(result)]
    for load in LOADS:
        parts += [f"## {_named(load)}", *_loads(result, load)]
    parts += ["## Start and memory", *_processes(result), "## Machine", *_machine(result)]
    return "\n".join(parts) + "\n"


def held(result: Result) -> bool:
    """Tell whether no goal that was measured was missed."""
    return all(goal.held for goal in goals_of(result) if goal.counts and goal.value is not None)


def _goals(result: Result) -> Iterator[str]:
    rows = []
    for goal in goals_of(result):
        verdict = "not measured" if goal.value is None else "held" if goal.held else "**missed**"
        shown = "" if goal.value is None else f"{goal.value:.3g}"
        rows.append((goal.title, goal.bound, shown, verdict if goal.counts else f"({verdict})"))
    yield from _table(("goal", "bound", "measured", ""), rows)
    yield "Verdicts in brackets do not count: they are shown beside the one that does."


def _loads(result: Result, load: Load) -> Iterator[str]:
    rows = []
    for system in SYSTEMS:
        if load not in system.loads or system.name not in result.rounds_of:
            continue
        numbers = [per_second(load.name), *(latency(name, load.name) for name in ("p50", "p95", "p99"))]
        rate, *times = (result.median(system.name, number) or 0.0 for number in numbers)
        failed = sum(seen.loads[load.name].failed for seen in result.rounds_of[system.name])
        rows.append((system.title, f"{rate:.0f}", *(f"{time:.2f}" for time in times), str(failed)))
    return _table(("system", "requests/s", "p50 ms", "p95 ms", "p99 ms", "failed"), rows)


def _processes(result: Result) -> Iterator[str]:
    rows = []
    for system in SYSTEMS:
        if system.name in result.rounds_of:
            start = result.median(system.name, lambda seen: seen.cold_start) or 0.0
            resident = result.median(system.name, lambda seen: seen.resident) or 0.0
            proportional = result.median(system.name, lambda seen: seen.proportional) or 0.0
            rows.append((system.title, f"{start:.2f}", f"{resident:.0f}", f"{proportional:.0f}"))
    return _table(("system", "cold start s", "RSS MiB", "PSS MiB"), rows)


def _machine(result: Result) -> Iterator[str]:
    yield ""
    yield from (f"- {name}: {value}" for name, value in result.machine.items())
    yield f"- {result.rounds} rounds, {result.seconds} s a load, {result.minutes:.1f} minutes in all"


def _named(load: Load) -> str:
    rows = "Single rows" if load.rows == 1 else f"{load.rows} rows a request"
    return f"{rows}, {load.connections} connection{'s' if load.connections > 1 else ''}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
