"""What a prediction costs: the time of a single row, and the size of what serving reads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from include.inference.choice import Choice
from include.inference.load import REFERENCE
from include.inference.scorer import Row, Scorer
from include.store.packages import ESTIMATOR

CALLS, WARM_UP, SECONDS = 100, 5, 5.0
_LEAST_CALLS = 20


def single_row_latency(scorer: Scorer, rows: Sequence[Row]) -> dict[str, float]:
    """Return p50 and p95, in milliseconds, of scoring one row.

    CPU time of this process is taken, not time on the wall: on an idle machine they are the same, and what else the
    machine is doing must not decide whether a model passes its gate.

    Args:
        scorer: the model as it will be served.
        rows: real rows; they are sent one at a time, in turn.
    """
    times: list[float] = []
    began = time.monotonic()
    for call in range(WARM_UP + CALLS):
        if len(times) >= _LEAST_CALLS and time.monotonic() - began > SECONDS:
            break
        started = time.process_time()
        scorer.score_one(rows[call % len(rows)])
        if call >= WARM_UP:
            times.append(1000 * (time.process_time() - started))
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


def size_mb(folder: Path) -> float:
    """Return the size of the files of a package that its runtime reads, in MiB.

    The estimator is kept as the reference beside the runtime that was chosen; serving does not read it then.
    """
    choice = Choice.load(folder)
    unread = ESTIMATOR if choice and choice.runtime != REFERENCE else None
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != unread)
    return sum(file.stat().st_size for file in files) / 2**20
