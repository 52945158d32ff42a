"""Models that learn from classes as if they were equally frequent, and still say how frequent they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.automl.bench import Bench, Configuration, Options, outputs_of
from include.automl.ensemble.prior import matched, together
from include.automl.families import find_family
from include.automl.families.weights import class_weights
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.inference.ensemble import reweighted
from include.specs import SpecError, parse_spec
from include.specs.training import FAMILIES, Features
from include.store.packages import Field

FIELDS = tuple(Field(name=name, type="number") for name in "abc")


def rare(classes: int, rows: int = 1200, weights: np.ndarray | None = None) -> Prepared:
    """Return rows of which one in twelve is of each class but the first."""
    rng = np.random.default_rng(0)
    target = np.clip(np.arange(rows) % 12, 0, classes - 1)[::-1].copy()
    target = classes - 1 - target  # the first class is the frequent one
    values = rng.normal(size=(rows, 3)) + 0.8 * np.eye(3)[target]
    frame = pd.DataFrame(values, columns=list("abc"))
    task = "binary" if classes == 2 else "multiclass"
    labels = tuple(range(classes))
    return Prepared(task, FIELDS, labels, frame, target, frame[:9], target[:9], train_weights=weights)


def bench(prepared: Prepared, *, balanced: bool) -> Bench:
    name = "log_loss" if prepared.task == "multiclass" else "average_precision"
    return Bench(prepared, Features(), metric(name), 3, 0, Options(balanced=balanced))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", FAMILIES)
def test_probabilities_are_those_of_the_classes_as_they_occur(name: str, classes: int) -> None:
    prepared = rare(classes)
    trial, plain = bench(prepared, balanced=True), bench(prepared, balanced=False)
    family = find_family(name)
    configuration = Configuration(name, family.portfolio(prepared.task)[-1 if name in ("knn", "random_forest") else 0])
    found, usual = (one.score(configuration, 0, 1, 2.0) for one in (trial, plain))
    held = trial.folds[0][1]
    rows = trial.plan(0, configuration.plan).transform(prepared.train.iloc[held])
    raw, shares = outputs_of(found.estimator, rows), np.bincount(prepared.train_target[held]) / len(held)
    last, seen = (raw, found.outputs) if classes == 2 else (raw[:, -1], found.outputs[:, -1])
    assert last.mean() > 2 * shares[-1], "it learnt from classes of equal weight"
    assert seen.mean() == pytest.approx(shares[-1], abs=0.04)
    losses = [metric("log_loss")(prepared.train_target[held], one.outputs) for one in (found, usual)]
    assert losses[0] < losses[1] + 0.1
    assert found.factors is not None and usual.factors is None


def test_classes_weigh_the_same_and_the_rows_as_much_as_before() -> None:
    codes, weights = np.repeat([0, 1, 2], [60, 30, 10]), np.linspace(0.5, 1.5, 100)
    by_class = class_weights(codes, weights)
    whole = by_class[codes] * weights
    assert np.bincount(codes, whole) == pytest.approx(np.full(3, weights.sum() / 3))
    assert class_weights(codes)[codes].sum() == pytest.approx(100)


def test_mean_probabilities_become_the_shares_of_the_classes() -> None:
    rng = np.random.default_rng(0)
    true = rng.dirichlet([8, 1, 0.5], size=3000)
    weights = 1 / true.mean(axis=0)
    learnt = true * weights / (true * weights).sum(axis=1, keepdims=True)
    factors = matched(learnt, true.mean(axis=0))
    np.testing.assert_allclose(reweighted(learnt, factors), true, atol=1e-3)
    assert together([factors, 5 * factors]) / factors == pytest.approx(np.full(3, (together([factors]) / factors)[0]))
    partly = together([np.array([2.0, 0.5, np.nan]), np.array([2.0, 0.5, 1.0])])
    assert partly[0] / partly[1] == pytest.approx(4) and np.isfinite(partly).all()


def test_a_class_that_is_never_answered_does_no_harm() -> None:
    factors = matched(np.tile([1.0, 0.0], (50, 1)), np.array([0.9, 0.1]))
    assert np.isfinite(factors).all()
    assert np.isfinite(reweighted(np.array([[0.5, 0.5], [1.0, 0.0]]), factors)).all()


def test_a_regression_has_no_classes_to_balance() -> None:
    text = """
name: m
owner: me
data: {source: {path: x.csv}}
problem: {type: regression, target: y, imbalance: balanced}
"""
    with pytest.raises(SpecError, match=r"problem.imbalance: a regression has no classes"):
        parse_spec(text, "m.yaml")
