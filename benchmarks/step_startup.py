"""Measure how long each step takes to start: ``make bench-steps``.

A step's start-up is the time that a fresh process needs to import the command line, the kernel and the step, in
seconds of CPU (user and system): the median of several processes, and its ratio to an interpreter that imports nothing,
measured in the same run. What a step loads while it works (MLflow, Evidently, Great Expectations, Feast) is not part of
it: no step module imports them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from include.specs import ROOT
from include.steps.catalogue import STEPS


def cpu_seconds(code: str, repeats: int) -> float:
    """Return the median CPU time of ``repeats`` fresh processes that run ``code``."""
    times = []
    for _ in range(repeats):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        after = os.times()
        times.append(after.children_user - before.children_user + after.children_system - before.children_system)
    return statistics.median(times)


def main() -> None:
    """Print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    base = cpu_seconds("pass", repeats)
    print(f"{'step':<18} {'CPU s':>7} {'ratio':>7}   (an empty interpreter takes {base:.3f} s)")
    for step, module in STEPS.items():
        seconds = cpu_seconds(f"import include.steps.__main__, {module}", repeats)
        print(f"{step:<18} {seconds:7.2f} {seconds / base:7.1f}")


if __name__ == "__main__":
    main()
