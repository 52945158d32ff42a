"""What is set aside for the final model, and which members it can afford."""

from __future__ import annotations

import cProfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.automl.bench import Bench, Configuration
from include.automl.folds import Answers
from include.automl.record import Record
from include.automl.reserve import affordable, by_folds, reserve, set_aside, stacking_seconds
from include.automl.result import Member
from include.automl.search import Plan
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.specs import parse_spec
from include.specs.training import Features
from include.store.packages import Field

SPEC = """
name: small
owner: tests
data: {source: {path: x.csv}}
problem: {type: regression, target: y}
"""
TRIAL = Record(0, Configuration("linear", {}), "done", scores=(0.5,) * 5, folds=5, refit_seconds=1.0)


def answered(trials: list[Record], answers: Answers) -> list[Record]:
    """Return the same trials, of rows of which others' models may answer."""
    return [replace(trial, answers=answers) for trial in trials]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path, parse_spec(SPEC, "x"), metric("rmse"), 100.0, str(tmp_path / "j"), tmp_path / "s", "study")


def test_what_took_long_to_keep_will_take_long_to_save(plan: Plan) -> None:
    light, heavy = [replace(TRIAL, save_seconds=0.01)] * 8, [replace(TRIAL, save_seconds=2.0)] * 8
    assert reserve(plan, light) < 5
    assert reserve(plan, heavy) > 40
    assert reserve(plan, answered(heavy, "refit")) - reserve(plan, answered(light, "refit")) == pytest.approx(5.373)
    assert reserve(plan, light[:1]) < reserve(plan, light)


def test_what_judging_a_stack_takes_is_set_aside_where_there_may_be_one(plan: Plan) -> None:
    best = [replace(TRIAL, save_seconds=0.01)] * 3
    without = reserve(replace(plan, may_stack=False), best)
    assert stacking_seconds(plan) == pytest.approx(reserve(plan, best) - without) == pytest.approx(1.0)
    assert stacking_seconds(replace(plan, budget=5.0)) == 0.3
    alone = plan.spec.model_copy(update={"search": plan.spec.search.model_copy(update={"ensemble": False})})
    single = replace(plan, spec=alone)
    assert reserve(single, best) == reserve(replace(single, may_stack=False), best)


def test_of_many_rows_models_are_fitted_again_where_there_is_time(plan: Plan) -> None:
    quick, slow = [replace(TRIAL, refit_seconds=10.0)] * 3, [replace(TRIAL, refit_seconds=50.0)] * 3
    assert not by_folds(plan, answered(quick, "either")) and by_folds(plan, answered(slow, "either"))
    assert reserve(plan, answered(slow, "either")) == reserve(plan, slow) < 10
    assert reserve(plan, answered(quick, "either")) == reserve(plan, answered(quick, "refit")) > 10
    assert by_folds(plan, quick) and not by_folds(plan, answered(slow, "refit"))
    alone = plan.spec.model_copy(update={"search": plan.spec.search.model_copy(update={"ensemble": False})})
    assert not by_folds(replace(plan, spec=alone), slow), "a single model is fitted on all rows"


def test_nothing_is_set_aside_for_a_trial_that_has_scored_nothing() -> None:
    assert set_aside(0.0) == 0
    assert set_aside(4.0) > 4


def test_members_that_cannot_be_saved_in_time_are_left_out() -> None:
    members = [
        Member(replace(TRIAL, number=number, save_seconds=seconds), weight)
        for number, (seconds, weight) in enumerate([(0.1, 0.2), (5.0, 0.5), (0.1, 0.3)])
    ]
    assert [member.record.number for member in affordable(members, 60)] == [1, 2, 0]
    kept = affordable(members, 23.2)
    assert [member.record.number for member in kept] == [1, 2]
    assert [member.weight for member in kept] == pytest.approx([0.625, 0.375])
    assert [member.record.number for member in affordable(members, -5)] == [1], "the heaviest one at least"
    further = [*members, Member(replace(TRIAL, number=9, save_seconds=0.1), 0.0)]
    assert [member.record.number for member in affordable(further, 60)] == [1, 2, 0, 9], "what has no weight comes last"
    assert [member.record.number for member in affordable(further, 23.6)] == [1, 2, 0]


@pytest.mark.parametrize("rows", [5, 20, 200])
@pytest.mark.parametrize("family", ["linear", "lightgbm"])
def test_a_column_of_a_wide_table_is_no_more_work_than_one_of_a_narrow_table(rows: int, family: str) -> None:
    narrow, wide = (calls_for_a_fold(rows, columns, family) for columns in (200, 2000))
    assert wide < 11 * narrow
    assert wide / 2000 < 300


def calls_for_a_fold(rows: int, columns: int, family: str) -> int:
    """Return how many functions are called until a fold is ready to be fitted."""
    rng = np.random.default_rng(0)
    names = [f"c{number}" for number in range(columns)]
    frame, target = pd.DataFrame(rng.normal(size=(rows, columns)), columns=names), rng.normal(size=rows)
    frame.iloc[::3, ::2] = np.nan
    fields = tuple(Field(name=name, type="number") for name in names)
    prepared = Prepared("regression", fields, None, frame, target, frame, target)
    bench = Bench(prepared, Features(), metric("rmse"), None, 7)
    view = Configuration(family, {}).plan
    bench._matrices(0, view)  # the first one imports what it needs
    profile = cProfile.Profile()
    profile.runcall(bench._matrices, 1, view)
    return sum(entry.callcount for entry in profile.getstats())
