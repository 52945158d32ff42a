"""Full load for minutes, a swap every few seconds: ``make bench-endurance MINUTES=10``.

Held: no failed request, no acknowledged prediction lost, each in the database within a second, and memory that does not
grow: the proportional set size of the server and its log writer, by a least-squares line behind the first fifth.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.serving.callers import Callers
from benchmarks.serving.model import FEATURES, NAME, make
from benchmarks.serving.observe import Repeated, lag_of, memory, slope, unrecorded
from benchmarks.serving.process import running
from benchmarks.serving.systems import SYSTEMS
from include.specs import FactoryError, Platform
from include.store.keys import serving_key

SYSTEM = next(system for system in SYSTEMS if system.name == "ours-log")
CONNECTIONS, SWAP_SECONDS = 16, 5.0
MOST_GROWTH = 2.0
"""MiB a minute: 10 minutes would add 20 MiB."""
LONGEST_LAG = 1.0


def main() -> int:
    """Call, swap and watch; print what was seen, and return 1 when a bound is broken."""
    parser = argparse.ArgumentParser(prog="make bench-endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=18770, help="first of three free ports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-endurance-") as folder:
        os.environ["FACTORY_HOME"] = f"{folder}/home"
        try:
            return endure(Path(folder), options.minutes * 60, options.port)
        except FactoryError as error:
            print(error, file=sys.stderr)
            return 1


def endure(folder: Path, seconds: float, port: int) -> int:
    """Return 0 when every bound held for ``seconds``.

    Raises:
        FactoryError: the server does not start.
    """
    served = make(folder)
    rows = [dict(zip(FEATURES, row, strict=True)) for row in served.rows.tolist()]
    expected = [{"0": 1.0 - p, "1": p} for p in served.expected.tolist()]
    with running(SYSTEM, served, range(port, port + 3), folder / "server.log") as server:
        platform = Platform(home=Path(server.home))
        pid = server.process.pid
        with Callers(port, NAME, rows, {"1": expected}, CONNECTIONS) as callers:
            lag = lag_of(callers, platform, NAME)
            with Repeated(lag, 0.5) as lags, Repeated(lambda: memory(pid), 1.0) as sizes:
                swaps = _swap_for(seconds, server.port, serving_key(platform))
        lost = unrecorded(platform, NAME, [name for _, name in callers.acknowledged], patience=30)
    steady = sizes.results[len(sizes.results) // 5 :]
    growth, worst = slope(steady), max(value for _, value in lags.results)
    seen = (
        ("answers a second", len(callers.acknowledged) / seconds, None),
        ("swaps", swaps, None),
        ("failed requests", len(callers.failures), 0),
        ("acknowledged predictions lost", len(lost), 0),
        ("worst lag of the log (s)", worst, LONGEST_LAG),
        ("memory at the end (MiB, PSS)", steady[-1][1], None),
        ("memory's growth (MiB a minute)", growth, MOST_GROWTH),
    )
    for title, value, bound in seen:
        verdict = "" if bound is None else f"≤ {bound:g}: {'held' if value <= bound else 'BROKEN'}"
        print(f"{title:32} {value:10.2f}  {verdict}")
    return 0 if all(bound is None or value <= bound for _, value, bound in seen) else 1


def _swap_for(seconds: float, port: int, key: str) -> int:
    """Replace the route again and again until ``seconds`` have passed; return how often."""
    deadline, swaps = time.monotonic() + seconds, 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        while time.monotonic() < deadline:
            variants = [{"name": "champion" if swaps % 2 else "challenger", "version": "1", "weight": 100}]
            headers = {"Authorization": f"Bearer {key}"}
            client.put(f"/v1/routes/{NAME}", json={"variants": variants}, headers=headers).raise_for_status()
            swaps += 1
            time.sleep(min(SWAP_SECONDS, max(deadline - time.monotonic(), 0.0)))
    return swaps


if __name__ == "__main__":
    sys.exit(main())
