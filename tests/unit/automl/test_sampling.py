"""Which family is tried next: the best one most often, the others often enough to be tuned as well."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from include.automl.bench import Configuration
from include.automl.record import FoldDone, Record
from include.automl.sampling import next_family
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
SCORES = {"linear": 3.0, "svm": 2.0, "knn": 1.0}


def done(number: int, family: str) -> Record:
    return Record(number, Configuration(family, {}), "done", scores=(1.0,), folds=1)


def test_each_family_gets_half_as_many_trials_as_the_one_before() -> None:
    best = [done(number, family) for number, family in enumerate(["svm", "svm", "knn", "svm", "linear", "knn"])]
    drawn = Counter(next_family(best, seed) for seed in range(7000))
    assert {family: count / 1000 for family, count in drawn.items()} == pytest.approx(
        {"svm": 4, "knn": 2, "linear": 1}, rel=0.1
    )
    assert next_family(best, 5) == next_family(best, 5)
    assert next_family([], 0) is None


def test_a_search_goes_on_with_several_families(tmp_path: Path) -> None:
    trials = Trials(str(tmp_path / "journal"), "run", "regression", list(SCORES), metric("rmse"), 7)
    trials.begin(FIRST)
    families = []
    for _ in range(60):
        asked = trials.ask(99)
        assert not isinstance(asked, Record) and asked is not None
        number, configuration = asked
        families.append(configuration.family)
        trials.report(number, FoldDone(SCORES[configuration.family], 0.1, 0.1))
        trials.end(number, "done")
    assert families[:3] == [one.family for one in FIRST]
    counts = Counter(families[3:])
    assert counts["knn"] > counts["svm"] > counts["linear"] > 0
    assert counts["knn"] < 45, "the best family does not get all"


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
