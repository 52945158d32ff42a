"""Two processes share one study, in a real PostgreSQL and in a journal file; one of them is killed."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from sklearn.datasets import load_breast_cancer

from include.automl.search import Plan, search
from include.features.preparation import prepare_rows
from include.specs import parse_spec
from tests.integration.automl.objectives import Watched

SPEC = """
name: small
owner: tests
data: {source: {path: x.csv}}
problem: {type: binary, target: malignant, positive: true}
search: {folds: 3, max_trials: 18, parallel: 1, workers: 2, families: [linear]}
"""


@pytest.fixture(params=["postgres", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return request.getfixturevalue("postgres_uri") if request.param == "postgres" else str(tmp_path / "journal.log")


@pytest.fixture
def plan(storage: str, tmp_path: Path) -> Plan:
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.iloc[:, :5].assign(malignant=bunch.target == 0)
    spec = parse_spec(SPEC, "x")
    prepare_rows(frame, spec, False).prepared.save(tmp_path / "prepared")
    (tmp_path / "watched").mkdir()
    objective = Watched(tmp_path / "watched", 0, "slow")
    name = f"study {tmp_path}"
    return Plan(tmp_path / "prepared", spec, objective, 120.0, storage, tmp_path / "scratch", name, neighbours=2)


@pytest.fixture
def start(plan: Plan, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a starter of the process at a place; it says number and state of each trial that ends."""
    started = []

    def make(place: int, **changes: object) -> subprocess.Popen[str]:
        file = tmp_path / f"plan{len(started)}.pkl"
        # a pod's scratch folder is its own
        file.write_bytes(pickle.dumps(replace(plan, place=place, scratch=tmp_path / f"scratch{place}", **changes)))
        command = [sys.executable, "-m", "tests.integration.automl.killed_search", str(file)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield make
    for process in started:
        process.kill()
        process.wait()


def said(process: subprocess.Popen[str]) -> dict[int, str]:
    assert process.stdout is not None
    return {int(line.split()[0]): line.split()[1] for line in process.stdout.read().splitlines()}


def killed(process: subprocess.Popen[str]) -> None:
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    psutil.wait_procs(workers, timeout=30)


def test_a_killed_place_loses_only_its_running_trial(plan: Plan, start: Callable[..., subprocess.Popen[str]]) -> None:
    one, two = start(1), start(2)
    assert one.stdout is not None
    first = int(one.stdout.readline().split()[0])
    killed(one)
    again = start(1)
    assert two.wait(timeout=120) == 0 and again.wait(timeout=120) == 0
    at_one, at_two = said(again), said(two)
    assert at_one and at_two and not set(at_one) & set(at_two)
    assert first not in at_one, "what had ended is not tried again"

    result = search(plan)
    interrupted = [record for record in result.records if record.state == "interrupted"]
    ended = [record for record in result.records if record not in interrupted]
    assert len(ended) == 18, "the bound holds for both together"
    # killed between asking for a trial and saying whose it is, a place leaves one that is nobody's
    assert len(interrupted) <= 1 and all(record.place in (None, 1) for record in interrupted)
    assert {record.place for record in ended} == {1, 2}
    tried = [record.configuration.params["strength"] for record in ended if record.configuration.params]
    assert len(set(tried)) == len(tried)
    done = [record for record in ended if record.state == "done"]
    assert result.winner.mean == max(record.mean for record in done)
    assert result.file.is_file() and len(result.oof.rows), "the predictions of another place are made again"


def test_all_places_end_at_the_deadline_that_the_first_one_set(
    plan: Plan, start: Callable[..., subprocess.Popen[str]]
) -> None:
    began = time.monotonic()
    spec = plan.spec.model_copy(update={"search": plan.spec.search.model_copy(update={"max_trials": 500})})
    one = start(1, budget=15.0, spec=spec)
    time.sleep(4)
    two = start(2, budget=15.0, spec=spec)
    assert one.wait(timeout=60) == 0 and two.wait(timeout=60) == 0
    took = time.monotonic() - began
    assert took < 15.0 + 10.0, "start of the interpreter and its end included"
    result = search(replace(plan, budget=15.0, spec=spec))
    last = max(record.ended for record in result.records)
    assert last - min(record.started for record in result.records) < 16.0
    assert {record.place for record in result.records} == {1, 2}, "the last step tried nothing more"


def test_what_a_place_left_that_never_came_back_is_closed(
    plan: Plan, start: Callable[..., subprocess.Popen[str]]
) -> None:
    one = start(1)
    assert one.stdout is not None
    one.stdout.readline()
    killed(one)
    result = search(plan)
    places = [record.place for record in result.records if record.state != "interrupted"]
    assert len(places) == 18 and places.count(1) >= 1 and places.count(None) >= 7, "the last step goes on alone"
