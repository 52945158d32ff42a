"""Every metric agrees with scikit-learn, on the rows as they are and on resampled ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from include.evaluation.metrics import METRICS, MetricError, best_threshold, labels, metric, score
from include.specs.training import METRICS as NAMES

REFERENCE = {
    "roc_auc": reference.roc_auc_score,
    "average_precision": reference.average_precision_score,
    "log_loss": lambda y, p: reference.log_loss(y, p, labels=[0, 1] if p.ndim == 1 else list(range(p.shape[1]))),
    "brier": reference.brier_score_loss,
    "f1": lambda y, p: reference.f1_score(y, labels(p)),
    "accuracy": lambda y, p: reference.accuracy_score(y, labels(p)),
    "balanced_accuracy": lambda y, p: reference.balanced_accuracy_score(y, labels(p)),
    "f1_macro": lambda y, p: reference.f1_score(y, labels(p), average="macro"),
    "roc_auc_ovr": lambda y, p: reference.roc_auc_score(y, p, multi_class="ovr"),
    "rmse": reference.root_mean_squared_error,
    "mae": reference.mean_absolute_error,
    "r2": reference.r2_score,
    "median_ae": reference.median_absolute_error,
}
CASES = [(task, name) for task, names in NAMES.items() for name in names]


def sample(task: str, rows: int, seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    if task == "regression":
        target = rng.normal(5, 2, rows)
        return target, target + rng.normal(size=rows)
    classes = 2 if task == "binary" else 4
    target = rng.integers(classes, size=rows)
    raw = rng.random((rows, classes)) + np.eye(classes)[target] * 0.4
    if ties:
        raw = np.round(raw, 1)
    outputs = raw / raw.sum(axis=1, keepdims=True)
    return target, outputs[:, 1] if task == "binary" else outputs


def test_every_metric_of_the_spec_is_there() -> None:
    assert {name for names in NAMES.values() for name in names} == set(METRICS) == set(REFERENCE)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("rows", [25, 400])
@pytest.mark.parametrize(("task", "name"), CASES)
def test_it_agrees_with_scikit_learn(task: str, name: str, rows: int, ties: bool) -> None:
    for seed in range(3):
        target, outputs = sample(task, rows, seed, ties)
        assert score(name, target, outputs) == pytest.approx(REFERENCE[name](target, outputs), abs=1e-9)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_weights_are_repetitions(task: str, name: str) -> None:
    target, outputs = sample(task, 80, 1, ties=True)
    rng = np.random.default_rng(2)
    drawn = rng.integers(80, size=(5, 80))
    weights = np.stack([np.bincount(rows, minlength=80) for rows in drawn]).astype(float)
    found = metric(name).values(target, outputs, weights)
    expected = [REFERENCE[name](target[rows], outputs[rows]) for rows in drawn]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_only_the_proportions_of_weights_count(task: str, name: str) -> None:
    target, outputs = sample(task, 80, 1, ties=True)
    weights = np.random.default_rng(2).integers(1, 9, size=80).astype(float)
    found = metric(name)(target, outputs, weights)
    assert metric(name)(target, outputs, weights / 64) == pytest.approx(found, abs=1e-12)
    assert found != pytest.approx(metric(name)(target, outputs), abs=1e-9)
    rows = np.repeat(np.arange(80), weights.astype(int))
    assert found == pytest.approx(REFERENCE[name](target[rows], outputs[rows]), abs=1e-9)


def test_the_median_of_weighted_errors_is_where_half_of_the_weight_is_reached() -> None:
    target, values = np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0])
    assert metric("median_ae")(target, values, np.array([0.1, 0.1, 0.1, 0.7])) == 4.0
    assert metric("median_ae")(target, values, np.array([0.25, 0.25, 0.25, 0.25])) == 2.5


def test_what_is_not_defined_is_nan() -> None:
    assert np.isnan(score("roc_auc", np.ones(5, dtype=int), np.linspace(0, 1, 5)))
    assert np.isnan(score("r2", np.ones(5), np.linspace(0, 1, 5)))


def test_extreme_probabilities_stay_finite() -> None:
    assert np.isfinite(score("log_loss", np.array([1, 0]), np.array([0.0, 1.0])))


def test_the_threshold_is_tuned_where_a_metric_needs_one() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(2000) < 0.1).astype(int)
    probabilities = np.clip(0.05 + 0.2 * target + rng.normal(scale=0.05, size=2000), 0, 1)
    tuned = best_threshold("f1", target, probabilities)
    assert score("f1", target, probabilities, tuned) > score("f1", target, probabilities) + 0.3
    everywhere = max(score("f1", target, probabilities, at) for at in np.linspace(0, 1, 1001))
    assert score("f1", target, probabilities, tuned) > everywhere - 0.02
    assert best_threshold("roc_auc", target, probabilities) == 0.5


def test_a_threshold_is_tuned_for_the_rows_that_count() -> None:
    target, probabilities = np.array([0] * 50 + [1] * 50), np.linspace(0.3, 0.6, 100)
    probabilities[[60, 61]] = 0.31  # two positives far below the others
    weights = np.ones(100)
    weights[[60, 61]] = 1000
    assert best_threshold("accuracy", target, probabilities) > 0.44
    assert best_threshold("accuracy", target, probabilities, weights) < 0.32


def test_an_unknown_metric_gets_a_hint() -> None:
    with pytest.raises(MetricError, match="did you mean 'roc_auc'"):
        score("roc_acu", np.zeros(2), np.zeros(2))
