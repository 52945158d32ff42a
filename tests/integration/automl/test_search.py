"""The search with real worker processes: budget, failures, death in mid-search, and going on after it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.datasets import load_breast_cancer

from include.automl.bench import Configuration, outputs_of
from include.automl.families import find_family
from include.automl.record import Record
from include.automl.result import configurations
from include.automl.search import Plan, SearchError, forget, search
from include.evaluation.metrics import metric, score
from include.features.objective import Objective
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.specs import parse_spec
from include.store.packages import Field
from tests.integration.automl.objectives import Watched

SPEC = """
name: small
owner: tests
data: {source: {path: x.csv}}
problem: {type: binary, target: malignant, positive: true}
search: {folds: 3, max_trials: 11, parallel: 2}
"""


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.iloc[:, :5].assign(malignant=bunch.target == 0)
    prepare_rows(frame, parse_spec(SPEC, "x"), False).prepared.save(folder)
    return folder


@pytest.fixture
def planned(rows: Path, tmp_path: Path) -> Callable[..., Plan]:
    (tmp_path / "watched").mkdir()

    def make(trap: str = "", at: int = 0, **changes: object) -> Plan:
        spec = parse_spec(SPEC, "x")
        if families := changes.pop("families", None):
            spec = spec.model_copy(update={"search": spec.search.model_copy(update={"families": families})})
        objective: Objective = Watched(tmp_path / "watched", at, trap) if trap else metric("roc_auc")
        base = {"budget": 60.0, "name": "study", "scratch": tmp_path / "scratch", "storage": str(tmp_path / "j.log")}
        return Plan(data=rows, spec=spec, objective=objective, **{**base, **changes})

    return make


def test_it_finds_refits_and_keeps_what_is_needed_to_judge(planned: Callable[..., Plan]) -> None:
    import skops.io

    plan, seen = planned(), []
    result = search(plan, seen.append)
    assert len(result.records) == 11 == len(seen)
    assert [record.configuration.family for record in result.records[:3]] == ["linear", "lightgbm", "catboost"]
    assert sum(member.weight for member in result.members) == pytest.approx(1) and result.bagged
    prepared = Prepared.load(plan.data)
    assert sorted(result.oof.rows) == list(range(len(prepared.train)))
    folds = [
        score("roc_auc", prepared.train_target[held], result.oof.outputs[result.oof.folds == fold])
        for fold in range(3)
        for held in [result.oof.rows[result.oof.folds == fold]]
    ]
    assert folds == pytest.approx(list(result.scores))
    pipeline = skops.io.load(result.file, trusted=skops.io.get_untrusted_types(file=result.file))
    assert score("roc_auc", prepared.test_target, outputs_of(pipeline, prepared.test)) > 0.9

    forget(plan.scratch)  # as in a pod that starts elsewhere: the trials are in the storage, their predictions are not
    again = search(plan)
    assert [record.number for record in again.records] == [record.number for record in result.records]
    done = [record for record in result.records if record.state == "done"]
    assert again.winner.mean == max(record.mean for record in done), "the best one is validated again"
    assert len(again.oof.rows) == len(prepared.train) and again.file.is_file()


def test_few_rows_are_cross_validated_twice(planned: Callable[..., Plan]) -> None:
    plan = planned(families=("linear",), max_trials=2)
    search_for = plan.spec.search.model_copy(update={"folds": None})
    result = search(replace(plan, spec=plan.spec.model_copy(update={"search": search_for})))
    assert len(result.scores) == len(result.winner.scores) == 10
    target = Prepared.load(plan.data).train_target
    assert sorted(result.oof.rows) == list(range(len(target))), "every row once, by the mean of both"
    assert score("roc_auc", target, result.oof.outputs) == pytest.approx(result.mean, abs=0.03)


def test_trials_that_run_at_the_deadline_are_ended(planned: Callable[..., Plan]) -> None:
    # two trials take turns at the first five scores, so that one of them has all three; all later scores hang
    result = search(planned("hang", at=5, budget=12.0))
    assert result.seconds < 60
    states = [record.state for record in result.records]
    assert states.count("done") == 1 and states.count("cancelled") == len(states) - 1 >= 1
    assert len(result.winner.scores) == 3


def test_where_no_trial_ends_in_time_a_part_of_its_folds_must_do(planned: Callable[..., Plan]) -> None:
    result = search(planned("hang", at=1, budget=8.0))
    assert result.seconds < 60
    assert len(result.winner.scores) == 1 and set(result.oof.folds) == {0}
    assert result.file.exists()


@pytest.mark.parametrize(("family", "grows"), [("lightgbm", "rounds"), ("neural_net", "epochs")])
def test_a_model_of_a_part_of_its_folds_grows_as_long_as_they_found(
    planned: Callable[..., Plan], family: str, grows: str
) -> None:
    import skops.io

    result = search(planned("hang", at=1, budget=8.0, families=(family,)))
    assert len(result.winner.scores) == 1 and not result.bagged
    most = find_family(family).defaults("binary")[grows]
    assert 0 < result.winner.settled[grows] < most
    assert result.winner.settled == result.winner.configuration.params | {grows: result.winner.settled[grows]}
    pipeline = skops.io.load(result.file, trusted=skops.io.get_untrusted_types(file=result.file))
    fitted = pipeline[-1]
    count = fitted.n_estimators if family == "lightgbm" else fitted.epochs_
    assert count == result.winner.settled[grows], "nothing ends the fit on all rows"


def test_a_budget_that_is_too_short_still_gives_a_candidate(planned: Callable[..., Plan]) -> None:
    result = search(planned(budget=0.01))
    assert result.winner.state == "done" and len(result.winner.scores) >= 1
    assert result.file.is_file(), "whichever family scored first was fitted and saved"


@pytest.mark.parametrize(("trap", "reason"), [("die", "process died"), ("break", "ValueError: a broken trial")])
def test_a_failed_trial_loses_only_itself(planned: Callable[..., Plan], trap: str, reason: str) -> None:
    result = search(planned(trap, at=1, max_trials=4))
    failed = [record for record in result.records if record.state == "failed"]
    assert len(failed) == 1 and reason in failed[0].reason
    assert len(result.records) == 4 and result.winner.state == "done"


def test_a_trial_that_needs_too_much_memory_is_ended_and_says_so(planned: Callable[..., Plan]) -> None:
    plan = planned("swell", at=1, max_trials=4, budget=150.0)
    small = plan.spec.search.model_copy(update={"memory_gb": 3.0})
    result = search(replace(plan, spec=plan.spec.model_copy(update={"search": small})))
    failed = [record for record in result.records if record.state == "failed"]
    assert len(failed) == 1 and "more than 3 GiB" in failed[0].reason and "search.memory_gb" in failed[0].reason
    assert result.winner.state == "done"


def test_features_made_of_two_columns_are_found_and_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.uniform(1, 9, size=(1500, 5)), columns=["income", "debt", "age", "fee", "calls"])
    frame["share"] = frame["income"] / frame["debt"] + rng.normal(scale=0.1, size=1500)
    spec = parse_spec(SPEC.replace("binary, target: malignant, positive: true", "regression, target: share"), "x")
    wanted = spec.search.model_copy(update={"families": ("linear", "lightgbm"), "max_trials": 16})
    spec = spec.model_copy(update={"search": wanted})
    prepare_rows(frame, spec, False).prepared.save(tmp_path / "rows")
    storage, scratch = str(tmp_path / "j.log"), tmp_path / "scratch"
    plan = Plan(tmp_path / "rows", spec, metric("rmse"), 240.0, storage, scratch, "study")
    result = search(plan)
    made = {one for record in result.records for one in record.configuration.generated}
    assert ("ratio", "income", "debt") in made or ("ratio", "debt", "income") in made
    assert any(member.record.configuration.generated for member in result.members)
    again = configurations(result.algorithm, json.loads(json.dumps(result.parameters)))
    assert list(again) == [member.record.configuration for member in result.members]


def test_bad_parameters_lose_only_their_trial(planned: Callable[..., Plan]) -> None:
    first = (Configuration("linear", {"strength": -1.0}), Configuration("linear", {"strength": 1.0}))
    result = search(planned(first=first, max_trials=2, families=("linear",)))
    assert [record.state for record in result.records] == ["failed", "done"]


def test_when_nothing_can_be_fitted_the_message_says_why(planned: Callable[..., Plan]) -> None:
    first = (Configuration("linear", {"strength": -1.0}),)
    with pytest.raises(SearchError, match=r"linear: .*-1\.0"):
        search(planned(first=first, max_trials=1, families=("linear",)))


def test_a_killed_search_goes_on_without_repeating_trials(planned: Callable[..., Plan], tmp_path: Path) -> None:
    plan = planned("slow", families=("linear",))
    file = tmp_path / "plan.pkl"
    file.write_bytes(pickle.dumps(plan))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.automl.killed_search", str(file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    before = [process.stdout.readline().split()[0] for _ in range(2)]
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    psutil.wait_procs(workers, timeout=30)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    time.sleep(0.1)
    with Path(plan.storage).open("ab") as journal:
        journal.write(b'{"op_code": 5, "wor')  # the line that the killed process was writing

    again: list[Record] = []
    result = search(plan, again.append)
    finished = {record.number for record in result.records if record.state in ("done", "pruned")}
    assert {int(number) for number in before} <= finished
    assert not {int(number) for number in before} & {record.number for record in again}
    interrupted = [record for record in result.records if record.state == "interrupted"]
    assert len(interrupted) <= 2
    lost = [record.configuration.params for record in interrupted]  # not all of them, where they were being drawn
    retried = [record.configuration.params.items() for record in again]
    assert all(any(params.items() <= found for found in retried) for params in lost)
    ended = [record.configuration.params["strength"] for record in result.records if record not in interrupted]
    assert len(ended) == 11 == len(set(ended))


@pytest.mark.parametrize("count", [5, 20, 200])
def test_wide_tables_keep_the_budget(tmp_path: Path, count: int) -> None:
    rng, width, budget = np.random.default_rng(0), 2000, 10.0
    names = [f"c{number}" for number in range(width)]
    frame = pd.DataFrame(rng.normal(size=(count, width)), columns=names)
    target = frame["c0"].to_numpy() + rng.normal(size=count)
    fields = tuple(Field(name=name, type="number") for name in names)
    Prepared("regression", fields, None, frame, target, frame.head(2), target[:2]).save(tmp_path / "rows")
    spec = parse_spec(SPEC, "x")
    problem = spec.problem.model_copy(update={"type": "regression", "metric": "rmse"})
    spec = spec.model_copy(update={"problem": problem, "search": type(spec.search)()})
    storage = str(tmp_path / "j.log")
    found = search(Plan(tmp_path / "rows", spec, metric("rmse"), budget, storage, tmp_path / "scratch", "wide"))
    assert found.seconds < 3 * budget
    assert found.file.is_file()
