"""What a search loses by being killed: ``python -m benchmarks.automl.killed [data set] [--budget SECONDS]``.

The same search twice: undisturbed, and ended by SIGKILL with all its workers when half of its budget is over, then
started again. The second start has the rest of the budget, and must repeat no trial that had ended.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.automl.datasets import DATASETS, Dataset
from benchmarks.automl.fits.ours import STUDY, STUDY_FILE
from benchmarks.automl.job import ANSWER, Job
from benchmarks.automl.measure import asked, judged
from benchmarks.automl.process import Watched, run
from benchmarks.automl.systems import OURS, SYSTEMS
from include.automl.record import Record, record_of
from include.automl.storage import open_storage

if TYPE_CHECKING:
    import pandas as pd

LOOK_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what both searches found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.automl.killed", description=__doc__)
    parser.add_argument("dataset", nargs="?", default="california_housing", choices=DATASETS)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of each search")
    options = parser.parse_args(arguments)
    dataset = DATASETS[options.dataset]
    for title, killed in (("undisturbed", False), ("killed at half of the budget", True)):
        with tempfile.TemporaryDirectory(prefix="bench-killed-") as folder:
            job, target = asked(dataset, SYSTEMS[OURS], options.budget, 0, Path(folder))
            before = _killed(job) if killed else []
            watched = run(job, SYSTEMS[OURS].python)
            print(f"{dataset.name}, {options.budget:g} s, {title}: {_told(job, dataset, target, watched)}")
            if killed:
                print(_again(before, _records(job)))


def _killed(job: Job) -> list[Record]:
    """Start the search, kill it with all that it started at half of its budget, and return the trials that ended."""
    running = threading.Thread(target=run, args=(job, SYSTEMS[OURS].python))
    running.start()
    while not (Path(job.folder) / STUDY_FILE).is_file() and running.is_alive():
        time.sleep(LOOK_SECONDS)
    time.sleep(job.budget / 2)
    for process in psutil.Process().children(recursive=True):
        process.kill()
    running.join()
    return [record for record in _records(job) if record.state != "interrupted"]


def _records(job: Job) -> list[Record]:
    import optuna

    study = optuna.load_study(study_name=STUDY, storage=open_storage(str(Path(job.folder) / STUDY_FILE)))
    return [record_of(trial, "") for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _told(job: Job, dataset: Dataset, target: pd.Series, watched: Watched) -> str:
    if watched.failure:
        return watched.failure
    answer = json.loads((Path(job.folder) / ANSWER).read_text(encoding="utf-8"))
    score, _ = judged(job, dataset, target, answer)
    seconds = watched.seconds["fitted"]
    return f"{dataset.metric} {score:.5g}, {answer['facts']['trials']} trials, {seconds:.1f} s of the last start"


def _again(before: Sequence[Record], after: Sequence[Record]) -> str:
    """Return what became of the trials that had ended ``before`` the kill."""
    kept = {record.number: record for record in after}
    lost = sum(kept.get(record.number) != record for record in before)
    ended = Counter(str(record.configuration) for record in after if record.state not in ("interrupted", "cancelled"))
    interrupted = sum(record.state == "interrupted" for record in after)
    return (
        f"  {len(before)} trials had ended: {lost} of them lost, {sum(ended.values()) - len(ended)} configurations "
        f"tried twice, {interrupted} running ones interrupted"
    )


if __name__ == "__main__":
    main()
