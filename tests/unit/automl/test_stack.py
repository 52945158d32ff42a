"""A second model over trials is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.linear_model import LogisticRegression

from include.automl.ensemble.calibration import log_loss
from include.automl.ensemble.combination import Mean, Stack
from include.automl.ensemble.stack import LIGHT, fit_stack
from tests.unit.automl.stacked import leaning


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
