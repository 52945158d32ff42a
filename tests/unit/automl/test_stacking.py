"""A second model over trials: it is what it says, it is taken where it helps, and refused where the mean is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.linear_model import LogisticRegression

from include.automl.bench import Configuration
from include.automl.ensemble.calibration import calibrate, log_loss
from include.automl.ensemble.combination import Mean, Stack
from include.automl.ensemble.greedy import select
from include.automl.ensemble.guard import ROWS_EACH, Held, Verdict, judge
from include.automl.ensemble.stack import LIGHT, fit_stack
from include.automl.ensemble.stacking import by_mean, by_stack, further
from include.automl.record import Record
from include.automl.result import Member
from include.evaluation.metrics import metric

Rows = tuple[list[np.ndarray], np.ndarray]
"""What each member answers, and the target."""
METRICS = {2: "log_loss", 3: "log_loss", None: "rmse"}


def drawn(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a class of each row, drawn by its probabilities."""
    return (rng.random(len(shares))[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(max=shares.shape[1] - 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def as_metrics_take(shares: np.ndarray) -> np.ndarray:
    return shares[:, 1] if shares.shape[1] == 2 else shares


def leaning(count: int, classes: int | None, seed: int = 0, scale: float = 2.5, lean: float = 2.0) -> Rows:
    """Return three members whose logits are too large and favour the second class, or whose values are too small."""
    rng = np.random.default_rng(seed)
    if classes is None:
        signal = rng.normal(size=count)
        values = [5 + 0.4 * (signal + rng.normal(scale=0.4, size=count)) for _ in range(3)]
        return values, 5 + signal + rng.normal(scale=0.3, size=count)
    true = rng.normal(scale=1.2, size=(count, classes))
    target = drawn(softmax(true), rng)
    wrong = [scale * (true + rng.normal(scale=0.3, size=true.shape)) + lean * np.eye(classes)[1] for _ in range(3)]
    return [as_metrics_take(softmax(logits)) for logits in wrong], target


def plain(count: int, classes: int | None, seed: int = 0, apart: float = 0.15) -> Rows:
    """Return three members of whom the mean is the truth: nothing beats it but chance."""
    rng = np.random.default_rng(seed)
    if classes is None:
        signal = rng.normal(size=count)
        values = [signal + rng.normal(scale=apart, size=count) for _ in range(3)]
        return values, np.mean(values, axis=0) + rng.normal(size=count)
    true = rng.normal(size=(count, classes))
    shares = [softmax(true + rng.normal(scale=apart, size=true.shape)) for _ in range(3)]
    return [as_metrics_take(one) for one in shares], drawn(np.mean(shares, axis=0), rng)


def held(rows: Rows, classes: int | None, folds: int = 5, name: str = "") -> Held:
    """Return members with the weights that the greedy choice gives them on all rows."""
    outputs, target = rows
    chosen = select(dict(enumerate(outputs)), target, metric(name or METRICS[classes]), 30.0).weights
    weights = tuple(chosen.get(number, 0.0) for number in range(len(outputs)))
    return Held(tuple(outputs), Mean(weights), target, np.arange(len(target)) % folds, classes)


# What is fitted


@pytest.mark.parametrize("weighted", [False, True])
def test_for_two_classes_it_is_a_logistic_regression_on_logits(weighted: bool) -> None:
    outputs, target = leaning(3000, 2, scale=1.3, lean=0.7)
    counts = np.random.default_rng(1).uniform(0.1, 5, size=3000) if weighted else None
    found = fit_stack(outputs, target, (1 / 3,) * 3, 2, counts, ridge=1e-9)
    logits = np.column_stack([np.log(one / (1 - one)) for one in outputs])
    known = LogisticRegression(C=1e9, tol=1e-10, solver="newton-cholesky").fit(logits, target, counts)
    assert known.coef_.min() > 0.05, "no bound is in the way"
    assert found.weights == pytest.approx(known.coef_[0].tolist(), abs=1e-3)
    assert found.biases == pytest.approx((0.0, known.intercept_[0]), abs=1e-3)
    np.testing.assert_allclose(found.apply(outputs), known.predict_proba(logits)[:, 1], atol=1e-3)


def test_of_several_classes_no_other_weights_and_biases_are_better() -> None:
    outputs, target = leaning(2000, 3)
    found = fit_stack(outputs, target, (1 / 3,) * 3, 3, ridge=1e-9)
    assert found.biases[0] == 0 and found.biases[1] < -0.3, "the second class was favoured"
    least = log_loss(found.apply(outputs), target)
    for place in range(3):
        for step in (-0.02, 0.02):
            weights, biases = np.array(found.weights), np.array(found.biases)
            weights[place] += step
            assert log_loss(Stack(tuple(weights), found.biases).apply(outputs), target) > least
            biases[place] += step
            assert log_loss(Stack(found.weights, tuple(biases)).apply(outputs), target) > least


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e7])
def test_of_values_it_is_least_squares_with_weights_of_at_least_0_and_an_intercept(weighted: bool, unit: float) -> None:
    (first, second, _), target = leaning(500, None)
    rng = np.random.default_rng(1)
    disturbance = rng.normal(size=500)  # what the third one knows alone: without bounds its weight would be negative
    values = [first + 0.3 * disturbance, second, 5 + disturbance]
    counts = rng.uniform(0.1, 5, size=500) if weighted else np.ones(500)
    columns = np.column_stack([*values, np.ones(500), -np.ones(500)]) * np.sqrt(counts)[:, None]
    known, _ = nnls(columns, target * np.sqrt(counts))
    found = fit_stack(
        [unit * one for one in values],
        unit * target,
        (1 / 3,) * 3,
        None,
        counts if weighted else None,
        ridge=1e-12,
    )
    assert found.weights == pytest.approx(known[:3], abs=1e-5) and found.weights[2] == 0 < found.weights[0]
    assert found.biases == (pytest.approx(unit * (known[3] - known[4]), rel=1e-4),)


def test_a_member_that_would_have_a_negative_weight_is_left_out() -> None:
    outputs, target = leaning(3000, 2, scale=1.0, lean=0.0)
    rng = np.random.default_rng(1)
    disturbance = rng.normal(size=3000)
    logits = [np.log(outputs[0] / (1 - outputs[0])) + disturbance, disturbance]
    members = [1 / (1 + np.exp(-one)) for one in logits]
    found = fit_stack(members, target, (0.5, 0.5), 2, ridge=1e-9)
    alone = LogisticRegression(C=1e9, tol=1e-10).fit(logits[0][:, None], target)
    assert found.weights == (pytest.approx(alone.coef_[0, 0], abs=1e-3), 0.0)


@pytest.mark.parametrize("classes", [2, 3, None])
def test_the_ridge_draws_to_the_mean(classes: int | None) -> None:
    outputs, target = leaning(300, classes)
    towards = (0.5, 0.3, 0.2)
    strong = fit_stack(outputs, target, towards, classes, ridge=1e9)
    assert strong.weights == pytest.approx(towards, abs=1e-3)
    fits = [fit_stack(outputs, target, towards, classes, ridge=ridge) for ridge in (1e-6, 10.0, 1e3)]
    biased = classes is not None  # the intercept of values is free
    distances = [np.linalg.norm([*(np.array(fit.weights) - towards), *(fit.biases if biased else ())]) for fit in fits]
    assert distances == sorted(distances, reverse=True)
    if classes is None:
        assert strong.biases[0] == pytest.approx(np.mean(target - Mean(towards).apply(outputs)), abs=1e-2)
    else:
        assert strong.biases == pytest.approx((0.0,) * classes, abs=1e-3)


def test_who_hardly_counts_is_left_out_and_the_others_take_over() -> None:
    (first, second, _), target = leaning(2000, None)
    noise = 5 + np.random.default_rng(3).normal(size=2000)
    values = [first, second, noise + 0.05 * target]
    alone = fit_stack(values[:2], target, (0.5, 0.5), None)
    found = fit_stack(values, target, (0.5, 0.5, 0.0), None)
    assert found.weights == pytest.approx((*alone.weights, 0.0))
    assert found.biases == pytest.approx(alone.biases)
    assert all(weight >= LIGHT * sum(found.weights) for weight in alone.weights)


def test_rows_that_hardly_count_do_not_decide() -> None:
    right, others = leaning(2000, 2, scale=1.0, lean=0.0), leaning(2000, 2, seed=1, scale=1.0, lean=3.0)
    outputs = [np.concatenate(pair) for pair in zip(right[0], others[0], strict=True)]
    target, counts = np.concatenate([right[1], others[1]]), np.repeat([1.0, 1e-6], 2000)
    assert abs(fit_stack(outputs, target, (1 / 3,) * 3, 2, counts).biases[1]) < 0.2
    assert fit_stack(outputs, target, (1 / 3,) * 3, 2, counts[::-1]).biases[1] < -1.5


def test_a_class_that_nobody_could_know_leaves_a_finite_fit() -> None:
    outputs, target = leaning(600, 3)
    for one in outputs:
        one[:200, 2] = 0.0
        one[:200] /= one[:200].sum(axis=1, keepdims=True)
    found = fit_stack(outputs, target, (1 / 3,) * 3, 3)
    assert np.isfinite(found.weights).all() and np.isfinite(found.apply(outputs)).all()


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


# What is said, and what becomes of it


def test_the_verdict_is_told_with_its_figures() -> None:
    taken = Verdict(3, Stack((0.9, 0.8, 0.3), (0.0, 0.1)), "", 5, 0.4012, 0.4123, 0.0111, 0.0021)
    assert taken.told("log_loss") == (
        "A second model over 3 trials was taken: on 5 folds that it was not fitted on its log_loss is 0.4012, that of the "
        "weighted mean 0.4123; better by 0.0111, more than one standard error (0.0021)."
    )
    small = Verdict(3, None, "", 5, 0.4122, 0.4123, 0.0001, 0.0021)
    assert "was refused" in small.told("log_loss") and "better by 0.0001, not more than one" in small.told("log_loss")
    assert "worse by 0.001, not more" in Verdict(2, None, "", 5, 0.4, 0.401, -0.001, 0.2).told("roc_auc")


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
