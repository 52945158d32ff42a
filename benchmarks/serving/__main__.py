"""The model server beside its peers: ``make bench-serving``; see docs/benchmarks-serving.md.

One system runs at a time. Every round starts each of them once, in turn, checks that it answers what the model itself
answers, warms it, and puts it under each load; ratios are taken within a round, and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.serving import report
from benchmarks.serving.machine import describe
from benchmarks.serving.model import Served, make
from benchmarks.serving.process import running
from benchmarks.serving.result import Result, Seen
from benchmarks.serving.systems import SYSTEMS, System
from benchmarks.serving.wrk import Load, Measured, drive, require_wrk
from include.specs import FactoryError

RESULTS = Path(__file__).with_name("results")
BODIES = {1: 1000, 100: 10}
"""Distinct bodies of a load, by rows a request: the model's 1 000 rows each time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and keep a full run's result; return 1 when a goal is missed or a system is broken."""
    parser = argparse.ArgumentParser(prog="make bench-serving", description=__doc__)
    names = [system.name for system in SYSTEMS]
    parser.add_argument("--systems", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=3, help="times that each system is started and measured")
    parser.add_argument("--seconds", type=int, default=4, help="length of a load")
    parser.add_argument("--port", type=int, default=18760, help="first of three free ports")
    parser.add_argument("--save", default=None, metavar="NAME", help="keep the result as results/NAME.{json,md}")
    options = parser.parse_args(arguments)
    chosen = [system for system in SYSTEMS if system.name in options.systems]
    try:
        require_wrk()
        with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
            os.environ["FACTORY_HOME"] = f"{folder}/home"
            served = make(Path(folder))
            ports = range(options.port, options.port + 3)
            result = measure(served, chosen, options.rounds, options.seconds, ports)
    except FactoryError as error:
        print(error, file=sys.stderr)
        return 1
    text = report.markdown(result)
    print(text)
    name = options.save or ("serving" if len(chosen) == len(SYSTEMS) else None)
    if name:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    return 0 if report.held(result) else 1


def measure(served: Served, systems: Sequence[System], rounds: int, seconds: int, ports: Sequence[int]) -> Result:
    """Return what ``rounds`` rounds over ``systems`` measured.

    Raises:
        FactoryError: a system does not start, or answers something else than the model.
    """
    started = time.monotonic()
    result = Result(describe(systems), rounds, seconds)
    bodies = {load: _bodies(served, load) for load in BODIES}
    for number in range(rounds):
        for system in systems if number % 2 == 0 else reversed(systems):
            seen = _one(served, system, bodies, seconds, ports)
            result.rounds_of.setdefault(system.name, []).append(seen)
            sixteen = seen.loads.get("1x16")
            shown = f"{sixteen.per_second:8.0f}/s, p99 {sixteen.p99:6.1f} ms" if sixteen else ""
            print(f"round {number + 1}: {system.name:16} {shown}", file=sys.stderr)
    result.minutes = (time.monotonic() - started) / 60
    return result


def _one(
    served: Served, system: System, bodies: dict[int, list[list[list[float]]]], seconds: int, ports: Sequence[int]
) -> Seen:
    with running(system, served, ports, served.folder / f"{system.name}.log") as server:
        server.check(served)
        url = f"http://127.0.0.1:{server.port}"
        _load(url, system, Load(1, 4), bodies, 1)  # warms what is compiled, cached or allocated on first use
        loads = {load.name: _load(url, system, load, bodies, seconds) for load in system.loads}
        resident, proportional = server.memory()
    return Seen(server.cold_start, resident, proportional, loads)


def _load(url: str, system: System, load: Load, bodies: dict[int, list[list[list[float]]]], seconds: int) -> Measured:
    requests = [system.dialect.request(rows) for rows in bodies[load.rows]]
    return drive(url + requests[0][0], [body for _, body in requests], load, seconds)


def _bodies(served: Served, rows: int) -> list[list[list[float]]]:
    every = served.rows.tolist()
    return [every[start : start + rows] for start in range(0, BODIES[rows] * rows, rows)]


if __name__ == "__main__":
    sys.exit(main())
