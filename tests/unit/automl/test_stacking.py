"""What the final model is made of, once a second model over its trials was taken or refused."""

from __future__ import annotations

import pytest

from include.automl.bench import Configuration
from include.automl.ensemble.combination import Mean, Stack
from include.automl.ensemble.guard import Verdict
from include.automl.ensemble.stacking import by_mean, by_stack, further
from include.automl.record import Record
from include.automl.result import Member


def record(number: int, family: str) -> Record:
    return Record(number, Configuration(family, {}), "done", (0.5, 0.6), folds=2)


def members(*weights: float) -> list[Member]:
    return [Member(record(number, f"f{number}"), weight) for number, weight in enumerate(weights)]


def test_further_trials_are_the_best_of_other_families() -> None:
    ranked = [record(7, "f0"), record(8, "a"), record(9, "a"), record(10, "b"), record(11, "c")]
    added = further(members(0.6, 0.4), ranked, 9)
    assert [(one.record.number, one.weight) for one in added] == [(8, 0.0), (10, 0.0)]
    assert [one.record.number for one in further(members(0.6, 0.4), ranked, 1)] == [8]
    assert further(members(0.6, 0.4), ranked, 0) == further(members(0.6, 0.4), ranked, -3) == []


def test_a_refused_stack_leaves_the_mean_as_it_was() -> None:
    verdict = Verdict(3, reason="x")
    found = by_mean(members(0.3, 0.7, 0.0), verdict)
    assert [one.record.number for one in found.members] == [1, 0] and found.verdict is verdict
    assert found.combination == Mean((0.7, 0.3)) and found.combination.biases == ()


def test_a_stack_is_over_those_with_a_weight_and_its_weights_are_shown_as_shares() -> None:
    stack = Stack((0.4, 0.0, 1.2), (0.0, 0.5))
    found = by_stack(members(0.3, 0.7, 0.0), stack, Verdict(3, stack))
    assert [(one.record.number, one.weight) for one in found.members] == [
        (2, pytest.approx(0.75)),
        (0, pytest.approx(0.25)),
    ]
    assert found.combination == Stack((1.2, 0.4), (0.0, 0.5))
    assert found.verdict is not None and found.verdict.stack == found.combination and found.verdict.members == 3
