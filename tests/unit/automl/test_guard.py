"""A second model over trials is taken where it helps, and refused where the mean is right."""

from __future__ import annotations

import numpy as np
import pytest

from include.automl.ensemble.calibration import calibrate
from include.automl.ensemble.combination import Mean, Stack
from include.automl.ensemble.guard import ROWS_EACH, Held, Verdict, judge
from include.evaluation.metrics import metric
from tests.unit.automl.stacked import METRICS, held, leaning, plain

# Whether it is taken


@pytest.mark.parametrize("classes", [2, 3, None])
def test_it_is_taken_where_all_members_are_wrong_alike_and_unseen_rows_are_better_for_it(classes: int | None) -> None:
    for seed in range(3):
        rows, objective = leaning(1500, classes, seed), metric(METRICS[classes])
        known = held(rows, classes)
        verdict = judge(known, objective, 30.0)
        assert verdict.stack is not None and verdict.folds == 5
        assert verdict.gain > verdict.error > 0 and verdict.gain == pytest.approx(verdict.against - verdict.score)
        unseen, truth = leaning(4000, classes, seed + 1000)
        mean = known.mean.apply(unseen)
        if classes is not None:
            whole = known.mean.apply(rows[0])
            both = [np.column_stack([1 - one, one]) if one.ndim == 1 else one for one in (whole, mean)]
            calibration = calibrate(both[0], rows[1], known.folds, may_tie=True)
            assert calibration.temperature > 1.5, "what a temperature can undo, it does undo"
            mean = calibration.apply(both[1])
            mean = mean[:, 1] if unseen[0].ndim == 1 else mean
        assert objective(truth, verdict.stack.apply(unseen)) < 0.97 * objective(truth, mean)


@pytest.mark.parametrize(("classes", "name"), [(2, "log_loss"), (2, "roc_auc"), (3, "log_loss"), (None, "rmse")])
def test_it_is_seldom_taken_where_the_mean_is_right(classes: int | None, name: str) -> None:
    """Of 200 draws each it was taken two times, once, once and two times."""
    taken = [judge(held(plain(500, classes, seed), classes, name=name), metric(name), 30.0) for seed in range(20)]
    assert all(verdict.folds == 5 for verdict in taken), "each was judged"
    assert sum(verdict.stack is not None for verdict in taken) <= 2


def test_for_absolute_errors_it_is_refused_where_squared_ones_mislead() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=1500) + 40 * (rng.random(1500) < 0.06)  # the median of the rows is not their mean
    values = [target * (target < 20) + rng.normal(scale=0.3, size=1500) for _ in range(2)]
    folds = np.arange(1500) % 5
    known = Held(tuple(values), Mean((0.5, 0.5)), target, folds, None)
    assert judge(known, metric("rmse"), 30.0).stack is not None
    refused = judge(known, metric("mae"), 30.0)
    assert refused.stack is None and refused.gain < 0 and refused.folds == 5


# What it is judged on


def test_no_fold_is_judged_by_a_stack_that_saw_it() -> None:
    known = held(leaning(600, 2), 2)
    sides = list(known.sides())
    assert len(sides) == 5
    for fit, own in sides:
        assert len(set(own.folds)) == 1 and not set(own.folds) & set(fit.folds)
        assert len(fit.target) + len(own.target) == 600


def test_of_ordered_folds_each_is_judged_by_earlier_ones_alone() -> None:
    rows = leaning(1200, None)
    known = Held(tuple(rows[0]), Mean((1 / 3,) * 3), rows[1], np.repeat(np.arange(4), 300), None, ordered=True)
    assert [(set(fit.folds), set(own.folds)) for fit, own in known.sides()] == [
        ({0}, {1}),
        ({0, 1}, {2}),
        ({0, 1, 2}, {3}),
    ]
    verdict = judge(known, metric("rmse"), 30.0)
    assert verdict.stack is not None and verdict.folds == 3


def test_the_first_fold_in_time_judges_nothing() -> None:
    outputs, target = leaning(900, None)
    known = Held(tuple(outputs), Mean((1 / 3,) * 3), target, np.repeat(np.arange(3), 300), None, ordered=True)
    told = judge(known, metric("rmse"), 30.0).told("rmse")
    assert "it takes 3 folds to judge it, and there are 2 that come after others." in told


def test_members_that_got_worse_with_time_are_not_trusted_to_stay() -> None:
    outputs, target = leaning(1200, None)
    late = np.arange(1200) >= 400
    for one in outputs:
        one[late] = 5 + (one[late] - 5) / 0.4  # no longer drawn to the middle
    blocks = np.repeat(np.arange(4), 300)
    known = Held(tuple(outputs), Mean((1 / 3,) * 3), target, blocks, None, ordered=True)
    assert judge(known, metric("rmse"), 30.0).stack is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"folds": 2}, "it takes 3 folds to judge it, and there are 2"),
        (
            {"rows": 5 * ROWS_EACH - 10},
            f"it takes {4 * ROWS_EACH} rows to fit it, and a fold leaves 192 of those looked at",
        ),
        ({"seconds": -1.0}, "no time left"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_says_why(change: dict[str, float], reason: str) -> None:
    known = held(leaning(int(change.get("rows", 900)), 2), 2, int(change.get("folds", 5)))
    verdict = judge(known, metric("log_loss"), change.get("seconds", 30.0))
    assert verdict.stack is None and reason in verdict.told("log_loss")


def test_folds_without_a_score_do_not_count() -> None:
    outputs, target = leaning(900, 2)
    order = np.argsort(target, kind="stable")  # most folds have one class, of which there is no area under the curve
    known = Held(tuple(one[order] for one in outputs), Mean((1 / 3,) * 3), target[order], np.arange(900) // 180, 2)
    verdict = judge(known, metric("roc_auc"), 30.0)
    assert verdict.stack is None and "roc_auc is not defined on 3 folds" in verdict.told("roc_auc")


def test_trials_that_know_nothing_are_not_stacked() -> None:
    (first, second, _), target = leaning(600, None)
    known = Held((10 - first, 10 - second), Mean((0.5, 0.5)), target, np.arange(600) % 5, None)
    verdict = judge(known, metric("rmse"), 30.0)
    assert verdict.stack is None and "no trial earns a weight" in verdict.told("rmse")


def test_of_many_rows_few_are_looked_at() -> None:
    rows = leaning(30_000, 2)
    known = Held(tuple(rows[0]), Mean((1 / 3,) * 3), rows[1], np.arange(30_000) % 5, 2, counts=np.ones(30_000))
    less = known.drawn(0)
    assert len(less.target) == len(less.folds) == len(less.outputs[0]) == 10_000
    assert less.counts is not None and len(less.counts) == 10_000
    np.testing.assert_array_equal(known.drawn(0).target, less.target)
    several = leaning(30_000, 20)
    assert len(Held(tuple(several[0]), known.mean, several[1], known.folds, 20).drawn(0).target) == 2000


# What is said


def test_the_verdict_is_told_with_its_figures() -> None:
    taken = Verdict(3, Stack((0.9, 0.8, 0.3), (0.0, 0.1)), "", 5, 0.4012, 0.4123, 0.0111, 0.0021)
    assert taken.told("log_loss") == (
        "A second model over 3 trials was taken: on 5 folds that it was not fitted on its log_loss is 0.4012, that of the "
        "weighted mean 0.4123; better by 0.0111, more than one standard error (0.0021)."
    )
    small = Verdict(3, None, "", 5, 0.4122, 0.4123, 0.0001, 0.0021)
    assert "was refused" in small.told("log_loss") and "better by 0.0001, not more than one" in small.told("log_loss")
    assert "worse by 0.001, not more" in Verdict(2, None, "", 5, 0.4, 0.401, -0.001, 0.2).told("roc_auc")
