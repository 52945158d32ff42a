"""The trials of a search outlive the process, in a journal file and in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from include.automl.bench import Configuration
from include.automl.record import FoldDone, Record
from include.automl.storage import StorageError
from include.automl.trials import Trials
from include.evaluation.metrics import metric

FIRST = tuple(Configuration("linear", {"strength": strength, "mix": 0.0}) for strength in (1.0, 10.0))


@pytest.fixture(params=["journal", "sql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "trials.log") if request.param == "journal" else f"sqlite:///{tmp_path}/trials.db"


def opened(storage: str, name: str = "run", objective: str = "rmse") -> Trials:
    trials = Trials(storage, name, "regression", ["linear", "xgboost"], metric(objective), 7)
    trials.begin(FIRST)
    return trials


def run(trials: Trials, score: float) -> Record:
    asked = trials.ask(99)
    assert not isinstance(asked, Record)
    trials.report(asked[0], FoldDone(score, 0.5, 1.0))
    return trials.end(asked[0], "done")


def test_another_process_goes_on_where_one_was_killed(storage: str) -> None:
    killed = opened(storage)
    done = run(killed, 3.0)
    number, lost = killed.ask(99)
    killed.spend(12.5)

    trials = opened(storage)
    assert trials.spent == 12.5
    records = trials.records()
    assert [(record.number, record.state) for record in records] == [(done.number, "done"), (number, "interrupted")]
    assert records[0] == done
    again, configuration = trials.ask(99)
    assert again not in (done.number, number) and configuration == lost
    drawn = [trials.ask(99)[1] for _ in range(4)]
    assert all(configuration not in FIRST for configuration in drawn)


def test_another_process_knows_whose_models_may_answer(storage: str) -> None:
    killed = opened(storage)
    asked = killed.ask(99)
    assert not isinstance(asked, Record) and asked is not None
    killed.report(asked[0], FoldDone(3.0, 0.5, 1.0, answers="either"))
    killed.end(asked[0], "done")
    assert opened(storage).best()[0].answers == "either"


def test_what_was_lost_twice_is_not_tried_a_third_time(storage: str) -> None:
    _, lost = opened(storage).ask(99)
    assert opened(storage).ask(99)[1] == FIRST[1]  # the second default was queued before
    again = opened(storage)
    assert [again.ask(99)[1] for _ in range(2)].count(lost) == 1
    third = opened(storage)
    assert lost not in [third.ask(99)[1] for _ in range(4)]


def test_studies_of_one_storage_are_apart(storage: str) -> None:
    run(opened(storage, "one"), 1.0)
    assert opened(storage, "two").records() == []


@pytest.mark.parametrize(("objective", "best"), [("rmse", 1.0), ("r2", 3.0)])
def test_the_best_comes_first_whatever_better_means(tmp_path: Path, objective: str, best: float) -> None:
    trials = opened(str(tmp_path / "trials.log"), objective=objective)
    for score in (2.0, 1.0, 3.0):
        run(trials, score)
    assert trials.best()[0].mean == best


def test_a_hopeless_trial_is_pruned_after_a_fold(tmp_path: Path) -> None:
    trials = opened(str(tmp_path / "trials.log"))
    for score in range(12):
        run(trials, 1.0 + score / 100)
    number, _ = trials.ask(99)
    assert trials.report(number, FoldDone(5.0, 0.1, 0.1))
    assert trials.furthest() == number
    assert trials.end(number, "pruned").state == "pruned"
    number, _ = trials.ask(99)
    assert not trials.report(number, FoldDone(0.5, 0.1, 0.1))


def test_half_a_line_of_a_killed_writer_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "trials.log"
    run(opened(str(file)), 1.0)
    with file.open("ab") as journal:
        journal.write(b'{"op_code"')
    trials = opened(str(file))
    run(trials, 2.0)
    assert [record.mean for record in opened(str(file)).records()] == [1.0, 2.0]


@pytest.fixture
def shared(tmp_path: Path) -> Callable[[int | None], Trials]:
    def make(place: int | None) -> Trials:
        trials = Trials(str(tmp_path / "s.log"), "run", "regression", ["linear", "xgboost"], metric("rmse"), 7, place)
        trials.begin(FIRST)
        return trials

    return make


def test_places_share_the_queue_the_count_and_the_clock(shared: Callable[[int | None], Trials]) -> None:
    one = shared(1)
    time.sleep(0.2)
    two = shared(2)
    assert one.shared and two.shared and two.spent >= 0.2
    assert one.spent == pytest.approx(two.spent, abs=0.1)
    assert [one.ask(3)[1], two.ask(3)[1]] == list(FIRST)
    assert two.ask(3) is not None
    assert one.ask(3) is None and two.ask(3) is None, "the bound is of all places together"
    two.spend(1000.0)
    assert one.spent < 100, "the clock says what is spent"


def test_a_place_that_comes_back_takes_up_its_own_trial_and_no_other(shared: Callable[[int | None], Trials]) -> None:
    one, two = shared(1), shared(2)
    mine, lost = one.ask(9)
    others, _ = two.ask(9)
    again = shared(1)
    assert [(record.number, record.state, record.place) for record in again.records()] == [(mine, "interrupted", 1)]
    two.report(others, FoldDone(2.0, 0.1, 0.1))
    assert two.end(others, "done").place == 2
    assert again.ask(9)[1] == lost
    assert again.ask(3) is not None, "what was interrupted does not count"
    assert again.ask(3) is None


def test_a_place_that_was_killed_before_it_said_whose_its_trial_is_leaves_it_to_the_next(
    shared: Callable[[int | None], Trials], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = shared(1), shared(2)
    mine, _ = two.ask(9)
    with monkeypatch.context() as patch:
        patch.setattr("optuna.Trial.set_user_attr", killed)
        with pytest.raises(KeyboardInterrupt):
            one.ask(9)
    again = shared(1)
    assert {record.number for record in again.records() if record.state == "interrupted"} == {mine + 1}
    assert again.ask(9)[1] == FIRST[1], "the configuration that was queued is not lost"
    assert again.ask(3) is not None, "what was interrupted does not count"
    assert again.ask(3) is None


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_last_step_closes_what_lost_workers_left(shared: Callable[[int | None], Trials]) -> None:
    run(shared(1), 1.0)
    shared(2).ask(9)
    last = shared(None)
    assert [record.state for record in last.records()] == ["done", "interrupted"]
    assert last.shared


def test_places_draw_different_configurations(shared: Callable[[int | None], Trials]) -> None:
    one, two = shared(1), shared(2)
    for trials in (one, two):
        trials.ask(9)
    assert one.ask(9)[1] != two.ask(9)[1]


def test_a_storage_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="FACTORY_OPTUNA_URI"):
        Trials(f"sqlite:///{tmp_path}/t.db", "run", "regression", ["linear"], metric("rmse"), 7, place=1)
