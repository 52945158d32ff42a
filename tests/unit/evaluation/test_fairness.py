"""Differences between groups are those of fairlearn's definitions."""

from __future__ import annotations

import numpy as np
import pytest

from include.evaluation.fairness import BetweenGroups
from include.evaluation.metrics import score

TARGET = np.array([0, 1, 1, 0, 1, 0, 1, 0, 1, 1])
OUTPUTS = np.array([0.2, 0.9, 0.8, 0.6, 0.4, 0.1, 0.7, 0.3, 0.6, 0.2])
GROUPS = np.array(list("aaaabbbbcc"))


def test_demographic_parity_is_the_spread_of_the_shares_of_positive_answers() -> None:
    parity = BetweenGroups("demographic_parity_difference", "roc_auc")
    assert parity(TARGET, OUTPUTS, GROUPS) == pytest.approx(0.75 - 0.25)  # a: 3 of 4, b: 1 of 4, c: 1 of 2
    assert parity(TARGET, OUTPUTS, GROUPS, threshold=0.05) == 0.0
    weights = np.array([1, 1, 1, 1, 1, 1, 9, 1, 1, 1.0])
    assert parity(TARGET, OUTPUTS, GROUPS, weights) == pytest.approx(0.75 - 0.5)  # b: 9 of 12


def test_the_difference_of_a_metric_is_that_of_its_groups() -> None:
    found = BetweenGroups("metric_difference", "accuracy")(TARGET, OUTPUTS, GROUPS, threshold=0.5)
    by_group = [score("accuracy", TARGET[one == GROUPS], OUTPUTS[one == GROUPS]) for one in "abc"]
    assert found == pytest.approx(max(by_group) - min(by_group)) and found > 0
    values = BetweenGroups("metric_difference", "mae")(np.zeros(4), np.array([1.0, 1, 3, 3]), np.array(list("aabb")))
    assert values == pytest.approx(2)


def test_a_group_without_a_figure_does_not_count() -> None:
    area = BetweenGroups("metric_difference", "roc_auc")
    whole = [score("roc_auc", TARGET[one == GROUPS], OUTPUTS[one == GROUPS]) for one in "ab"]
    assert area(TARGET, OUTPUTS, GROUPS) == pytest.approx(abs(whole[0] - whole[1])), "c has one class"
    assert np.isnan(area(TARGET[:4], OUTPUTS[:4], GROUPS[:4])), "one group differs from nothing"


def test_the_threshold_is_that_of_the_metric() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(2000) < 0.1).astype(int)
    outputs = np.clip(0.05 + 0.2 * target + rng.normal(scale=0.05, size=2000), 0, 1)
    groups = np.where(rng.random(2000) < 0.5, target, 1 - target)
    assert BetweenGroups("demographic_parity_difference", "roc_auc")(target, outputs, groups) == 0.0
    assert BetweenGroups("demographic_parity_difference", "f1")(target, outputs, groups) >= 0.0
    aligned = BetweenGroups("demographic_parity_difference", "f1")(target, outputs, target)
    assert aligned > 0.5, "a threshold of 0.5 would answer nobody"
