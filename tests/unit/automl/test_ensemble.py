"""Which trials answer together: the greedy choice, and the calibration of what they answer."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from include.automl.ensemble.calibration import ISOTONIC_ROWS, KNOTS, Calibration, calibrate, log_loss
from include.automl.ensemble.greedy import select
from include.evaluation.metrics import metric


def noisy(count: int, deviations: dict[int, float], seed: int = 0) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=count)
    return target, {key: target + rng.normal(scale=scale, size=count) for key, scale in deviations.items()}


def test_two_models_with_errors_of_their_own_share_the_work() -> None:
    target, candidates = noisy(4000, {3: 0.5, 7: 0.5, 9: 3.0})
    found = select(candidates, target, metric("rmse"), 30.0)
    assert found.weights.keys() == {3, 7}
    assert found.weights[3] == pytest.approx(0.5, abs=0.06)
    blend = sum(weight * candidates[key] for key, weight in found.weights.items())
    assert found.score == pytest.approx(metric("rmse")(target, blend))
    assert found.score < 0.75 * metric("rmse")(target, candidates[3])


def test_it_comes_close_to_the_best_weights_of_a_grid() -> None:
    target, candidates = noisy(1500, {0: 0.4, 1: 0.6, 2: 0.9}, seed=2)
    rmse = metric("rmse")
    grid = [np.array(w) / sum(w) for w in product(range(11), repeat=3) if sum(w)]
    best = min(rmse(target, sum(w * candidates[k] for k, w in enumerate(weights))) for weights in grid)
    assert select(candidates, target, rmse, 30.0).score <= best * 1.005


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "accuracy"])
def test_it_is_never_worse_than_the_best_single_one(name: str) -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 2, 600)
    candidates = {k: np.clip(target * 0.3 + 0.35 + rng.normal(scale=0.2, size=600), 0.01, 0.99) for k in range(5)}
    scored = metric(name)
    singles = [scored(target, one) for one in candidates.values()]
    found = select(candidates, target, scored, 30.0)
    best = max(singles) if scored.greater_is_better else min(singles)
    assert (found.score - best) * (1 if scored.greater_is_better else -1) >= -1e-12
    assert sum(found.weights.values()) == pytest.approx(1)


def test_without_time_the_best_single_one_is_taken() -> None:
    target, candidates = noisy(500, {0: 1.0, 1: 0.2, 2: 0.5})
    assert select(candidates, target, metric("rmse"), 0.0).weights == {1: 1.0}


def test_the_choice_follows_the_rows_that_count() -> None:
    target, candidates = noisy(2000, {0: 0.1, 1: 0.1})
    candidates[0][:1000] += 5
    candidates[1][1000:] += 5
    weights = np.repeat([1.0, 1e-6], 1000)
    assert select(candidates, target, metric("rmse"), 30.0, weights=weights).weights == {1: 1.0}
    assert select(candidates, target, metric("rmse"), 30.0, weights=weights[::-1]).weights == {0: 1.0}


def test_a_candidate_without_a_score_is_never_taken() -> None:
    target, candidates = noisy(500, {0: 0.5, 1: 0.5})
    candidates[2] = np.full(500, np.nan)
    assert 2 not in select(candidates, target, metric("rmse"), 30.0).weights


# Calibration


def logits(count: int, scale: float, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities whose logits are ``scale`` times too large, the classes drawn, and folds."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(count, classes))
    shares = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    target = (rng.random(count)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    wrong = np.exp(scale * true)
    return wrong / wrong.sum(axis=1, keepdims=True), target, np.arange(count) % 5


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("scale", [2.5, 0.4])
def test_a_temperature_undoes_what_made_probabilities_too_sure_or_not_sure_enough(classes: int, scale: float) -> None:
    probabilities, target, folds = logits(4000, scale, classes)
    found = calibrate(probabilities, target, folds, may_tie=False)
    assert found.temperature == pytest.approx(scale, rel=0.15) and not found.knots
    after = found.apply(probabilities)
    assert after.sum(axis=1) == pytest.approx(np.ones(4000))
    assert log_loss(after, target) < 0.99 * log_loss(probabilities, target)
    np.testing.assert_array_equal(after.argmax(axis=1), probabilities.argmax(axis=1))


def test_what_is_calibrated_is_left_alone() -> None:
    changed = [calibrate(*logits(2000, 1.0, seed=seed), may_tie=True) != Calibration() for seed in range(40)]
    assert sum(changed) <= 4, "one in forty, by chance"


def test_a_line_follows_what_no_temperature_can() -> None:
    rng = np.random.default_rng(3)
    shown = rng.uniform(0.05, 0.95, ISOTONIC_ROWS + 3000)
    target = (rng.random(len(shown)) < np.where(shown > 0.5, 0.62, 0.1)).astype(int)
    probabilities, folds = np.column_stack([1 - shown, shown]), np.arange(len(shown)) % 4
    found = calibrate(probabilities, target, folds, may_tie=True)
    assert 2 <= len(found.knots) <= KNOTS
    known, wanted = np.array(found.knots).T
    assert (np.diff(known) > 0).all() and (np.diff(wanted) >= 0).all()
    assert found.apply(np.array([[0.3, 0.7]]))[0, 1] == pytest.approx(0.62, abs=0.05)
    assert calibrate(probabilities, target, folds, may_tie=False).knots == (), "ranks must not tie"


def test_rows_that_hardly_count_do_not_decide_how_probabilities_are_calibrated() -> None:
    probabilities, target, folds = logits(4000, 2.5)
    wrong, others, others_folds = logits(4000, 0.4, seed=1)
    both = (
        np.concatenate([probabilities, wrong]),
        np.concatenate([target, others]),
        np.concatenate([folds, others_folds]),
    )
    weights = np.repeat([1.0, 1e-6], 4000)
    assert calibrate(*both, False, weights).temperature == pytest.approx(2.5, rel=0.15)
    assert calibrate(*both, False, weights[::-1]).temperature == pytest.approx(0.4, rel=0.15)


def test_a_single_fold_cannot_judge_a_calibration() -> None:
    probabilities, target, folds = logits(1000, 3.0)
    assert calibrate(probabilities, target, np.zeros_like(folds), may_tie=True) == Calibration()
