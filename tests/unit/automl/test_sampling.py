"""Which family is tried next: the best one gets most of the time, the others enough to be tuned as well."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.automl.bench import Configuration
from include.automl.record import FoldDone, Record
from include.automl.sampling import NEXT_SHARE, next_family, taken
from include.automl.trials import Trials
from include.evaluation.metrics import metric

FIRST = tuple(
    Configuration(family, params)
    for family, params in (
        ("linear", {"strength": 1.0, "mix": 0.0}),
        ("knn", {"neighbours": 20, "kernel": "biweight"}),
        ("svm", {"strength": 3.0, "width": 1.0, "tube": 0.1}),
    )
)
SECOND = tuple(
    Configuration(family, params)
    for family, params in (
        ("linear", {"strength": 7.0, "mix": 0.0}),
        ("knn", {"neighbours": 40, "kernel": "biweight"}),
        ("svm", {"strength": 5.0, "width": 0.5, "tube": 0.1}),
    )
)
SCORES = {"linear": 3.0, "svm": 2.0, "knn": 1.0}


def done(number: int, family: str) -> Record:
    return Record(number, Configuration(family, {}), "done", scores=(1.0,), folds=1)


def test_each_family_gets_as_much_time_as_it_is_due_however_long_its_trials_take() -> None:
    best = [done(number, family) for number, family in enumerate(["svm", "svm", "knn", "svm", "linear", "knn"])]
    took, seconds, turns = {"svm": 3.0, "knn": 0.1, "linear": 1.0}, dict.fromkeys(SCORES, 0.0), Counter[str]()
    while sum(seconds.values()) < 1000:
        family = next_family(best, seconds, ())
        assert family is not None
        seconds[family] += took[family]
        turns[family] += 1
    assert seconds["knn"] / seconds["svm"] == pytest.approx(NEXT_SHARE, abs=0.02)
    assert seconds["linear"] / seconds["knn"] == pytest.approx(NEXT_SHARE, abs=0.02)
    assert turns["knn"] > 20 * turns["svm"]


def test_a_family_of_which_nothing_is_done_is_due_least_and_not_drawn_of() -> None:
    assert next_family([done(0, "svm")], {"svm": 1.0, "knn": 0.8}, ["knn"]) == "svm"
    assert next_family([done(0, "svm")], {"svm": 1.0, "knn": 0.6}, ["knn"]) == "knn"
    assert next_family([done(0, "svm")], {"svm": 1.0}, ()) == "svm"
    assert next_family([], {"svm": 1.0}, ()) is None


def test_what_a_trial_took_counts_unless_it_was_interrupted() -> None:
    from optuna.trial import TrialState, create_trial

    def trial(state: TrialState, family: str, took: float, **attributes: object) -> Any:
        made = create_trial(state=TrialState.FAIL, system_attrs={"fixed_params": {"family": family}})
        made.state, made.user_attrs = state, dict(attributes)
        made.datetime_complete = datetime.now() if state.is_finished() else None
        made.datetime_start = (made.datetime_complete or datetime.now()) - timedelta(seconds=took)
        return made

    found = taken(
        [
            trial(TrialState.COMPLETE, "svm", 4.0, record={}),
            trial(TrialState.PRUNED, "svm", 1.0, record={}),
            trial(TrialState.RUNNING, "knn", 2.0),
            trial(TrialState.FAIL, "linear", 9.0),  # interrupted: nobody wrote down how it ended
        ]
    )
    assert found == pytest.approx({"svm": 6.0, "knn": 2.5}, abs=0.4), "half a second beside each"


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trials take the same, whatever this machine is busy with."""
    monkeypatch.setattr("include.automl.sampling._BESIDE", 1000.0)


def searched(file: Path) -> Trials:
    trials = Trials(str(file), "run", "regression", list(SCORES), metric("rmse"), 7)
    trials.begin([*FIRST, *SECOND], in_turns=True)
    return trials


def tried(trials: Trials) -> Configuration:
    asked = trials.ask(99)
    assert not isinstance(asked, Record) and asked is not None
    number, configuration = asked
    trials.report(number, FoldDone(SCORES[configuration.family], 0.1, 0.1))
    trials.end(number, "done")
    return configuration


@pytest.mark.usefixtures("alike")
def test_a_search_goes_on_with_several_families(tmp_path: Path) -> None:
    trials = searched(tmp_path / "journal")
    found = [tried(trials) for _ in range(60)]
    assert found[:3] == list(FIRST)
    later = [next(one for one in found[3:] if one.family == family) for family in SCORES]
    assert sorted(map(repr, later)) == sorted(map(repr, SECOND)), "what is shipped comes before what is drawn"
    counts = Counter(one.family for one in found)
    assert counts["knn"] > counts["svm"] > counts["linear"] > 1
    assert counts["knn"] < 45, "the best family does not get all"


@pytest.mark.usefixtures("alike")
def test_a_search_that_goes_on_tries_what_waits_for_its_turn_once(tmp_path: Path) -> None:
    found = [tried(searched(tmp_path / "journal")) for _ in range(8)]
    assert all(found.count(one) == 1 for one in (*FIRST, *SECOND))


@pytest.mark.usefixtures("alike")
def test_what_fails_at_once_does_not_come_again_and_again(tmp_path: Path) -> None:
    trials = searched(tmp_path / "journal")
    families = Counter[str]()
    for _ in range(40):
        asked = trials.ask(99)
        assert not isinstance(asked, Record) and asked is not None
        families[asked[1].family] += 1
        if asked[1].family == "knn":
            trials.end(asked[0], "failed", "it needs too much memory")
        else:
            trials.report(asked[0], FoldDone(1.0, 0.1, 0.1))
            trials.end(asked[0], "done")
    assert families["knn"] == 2, "its two configurations"


def test_with_several_objectives_the_sampler_draws_the_family(tmp_path: Path) -> None:
    trials = Trials(
        str(tmp_path / "j"), "run", "regression", ["linear", "knn"], metric("rmse"), 7, costs=["latency_ms"]
    )
    trials.begin(FIRST[:2])
    for _ in range(6):
        asked = trials.ask(99)
        assert not isinstance(asked, Record) and asked is not None
        trials.report(asked[0], FoldDone(1.0, 0.1, 0.1, costs={"latency_ms": 1.0}))
        trials.end(asked[0], "done")
    queued = [trial.system_attrs.get("fixed_params") for trial in trials._study.get_trials()]
    assert [fixed for fixed in queued if fixed == {"family": "linear"} or fixed == {"family": "knn"}] == []
