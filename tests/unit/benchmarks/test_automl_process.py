"""A job is timed by phases, its memory and processor time are seen, and nothing of it survives."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from benchmarks.automl import process
from benchmarks.automl.job import ANSWER, OUTPUTS, Job, timed
from benchmarks.automl.process import Tree, Watched, run
from tests.unit.benchmarks.fitting import HELPER


def job(folder: Path, **options: object) -> Job:
    table = pd.DataFrame({"x": np.arange(8.0), "day": pd.date_range("2026-01-01", periods=8), "y": list("aaabbbbb")})
    table.to_csv(folder / "train.csv", index=False)
    table.drop(columns="y").to_csv(folder / "test.csv", index=False)
    return Job(
        module="tests.unit.benchmarks.fitting", options=options, folder=str(folder), task="binary", target="y",
        metric="roc_auc", dates=("day",), budget=1.0, seed=0, cores=1,
    )  # fmt: skip


def done(folder: Path, **options: object) -> Watched:
    return run(job(folder, **options), Path(sys.executable))


def test_phases_are_timed_and_the_answer_is_there(tmp_path: Path) -> None:
    watched = done(tmp_path, seconds=1.5)
    assert watched.failure == ""
    # who looks at the clock may be late itself where the machine is busy
    assert 1.0 < watched.seconds["fitted"] < 10
    assert 0.05 < watched.seconds["packaged"] < 10
    answer = json.loads((tmp_path / ANSWER).read_text())
    assert answer["classes"] == ["b", "a"] and answer["facts"] == {"rows": 8, "dates": "datetime64[ns]"}
    assert 2.0 <= answer["one_row_ms"] < 200
    np.testing.assert_allclose(np.load(tmp_path / OUTPUTS), np.tile([5 / 8, 3 / 8], (8, 1)))


def test_what_a_job_starts_is_watched_too_and_ends_with_it(tmp_path: Path) -> None:
    quiet = done(tmp_path, seconds=1.5)
    note = tmp_path / "helper.pid"
    watched = done(tmp_path, seconds=1.5, helper=str(note))
    assert watched.failure == ""
    assert watched.peak_mib > quiet.peak_mib + 75
    assert not psutil.pid_exists(int(note.read_text()))


def test_processor_time_is_that_of_all_that_was_ever_seen() -> None:
    work = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {HELPER!r}]); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", work])
    tree = Tree(process.pid)
    try:
        began = time.monotonic()
        while tree.processor_seconds < 0.9 and time.monotonic() - began < 60:
            time.sleep(0.05)
            tree.look()
        used = tree.processor_seconds
    finally:
        tree.end()
        process.wait()
    assert 0.9 <= used < 3
    tree.look()
    assert tree.processor_seconds >= used and tree.resident_mib == 0


@pytest.mark.parametrize(
    ("fails", "reason"), [("raises", "exit code 1: ValueError: no trees today"), ("dies", "SIGKILL")]
)
def test_a_failure_has_its_reason(tmp_path: Path, fails: str, reason: str) -> None:
    watched = done(tmp_path, fails=fails)
    assert reason in watched.failure
    assert "fitted" not in watched.seconds and "ready" in watched.seconds


def test_a_fit_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "AT_LEAST", -1.0)  # 3 x 1 s - 1 s
    began = time.monotonic()
    watched = done(tmp_path, seconds=60)
    assert watched.failure == "not fitted after 2 s"
    assert time.monotonic() - began < 50


def test_single_rows_are_timed_one_by_one() -> None:
    asked = []
    assert timed([1, 2], lambda row: (asked.append(row), time.sleep(0.001))) >= 1.0
    assert asked == [1, 2] * 12 + [1]  # five to warm up, twenty timed
