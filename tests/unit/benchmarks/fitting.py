"""A system that the harness can watch: it does what the job's options say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.automl.job import Job

MIB = 1 << 20
HELPER = "import time; held = bytearray(80 * 2**20)\nwhile time.process_time() < 1: pass\ntime.sleep(600)"


def fit(job: Job, train: pd.DataFrame) -> Model:
    options = job.options
    if "helper" in options:  # uses memory and time, and outlives whoever started it
        process = subprocess.Popen([sys.executable, "-c", HELPER], start_new_session=True)
        print(process.pid, file=open(options["helper"], "w"), flush=True)  # noqa: PTH123, SIM115
    time.sleep(options.get("seconds", 0))
    if options.get("fails") == "raises":
        raise ValueError("no trees today")
    if options.get("fails") == "dies":
        os.kill(os.getpid(), 9)
    return Model(job, train)


class Model:
    """Answers the share of each class among the training rows."""

    def __init__(self, job: Job, train: pd.DataFrame) -> None:
        shares = train[job.target].value_counts(normalize=True).sort_index(ascending=False)
        self.classes, self._shares = list(shares.index), shares.to_numpy()
        self.facts: dict[str, Any] = {"rows": len(train), "dates": str(train.dtypes.get("day"))}

    def package(self) -> None:
        time.sleep(0.2)

    def predict(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        return np.tile(self._shares, (len(frame), 1))

    def single(self, frame: pd.DataFrame) -> tuple[list[Any], Callable[[Any], Any]]:
        return [1, 2, 3], lambda row: time.sleep(0.002)
