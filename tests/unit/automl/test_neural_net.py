"""The neural nets satisfy the contract of families, and learn what the metric asks for."""

from __future__ import annotations

import numpy as np
import pytest

from include.automl.families import Conditions, Rows, find_family
from include.specs import FactoryError
from tests.unit.automl.family_contract import FamilyContract, drawn, part


class TestNeuralNet(FamilyContract):
    family = find_family("neural_net")


FAMILY = TestNeuralNet.family


def test_held_rows_find_the_epochs_and_settle_them() -> None:
    rows = drawn("regression", 300)
    noise = Rows(rows.values, np.random.default_rng(1).permutation(rows.target))
    params = FAMILY.defaults("regression")
    conditions = Conditions(held=part(noise, 200, 300), metric="rmse")
    fitted = [
        FAMILY.fit(FAMILY.build(params, "regression", seed, 1), part(noise, 0, 200), conditions) for seed in (0, 1)
    ]
    settled = FAMILY.settled(params, fitted)
    assert settled == {**params, "epochs": round(np.mean([one.epochs_ for one in fitted]))}
    assert settled["epochs"] < params["epochs"] / 2, "there is nothing to learn"
    assert FAMILY.settled(params, []) == params


def test_the_loss_follows_the_metric() -> None:
    """Two of five rows lie far above the others: the median ignores by how much, the mean does not."""
    rng = np.random.default_rng(0)
    target = np.where(rng.random(600) < 0.4, 100.0, rng.normal(size=600))
    rows, answers = Rows(np.zeros((600, 2), dtype=np.float32), target), {}
    for metric in ("rmse", "mae"):
        estimator = FAMILY.build(FAMILY.defaults("regression"), "regression", 0, 1)
        answers[metric] = FAMILY.fit(estimator, rows, Conditions(metric=metric)).predict(rows.values[:1])[0]
    assert answers["rmse"] == pytest.approx(target.mean(), abs=3)
    assert answers["mae"] == pytest.approx(np.median(target), abs=3)


@pytest.mark.parametrize(("metric", "stops_by"), [("accuracy", "error"), ("roc_auc", "log"), ("log_loss", "log")])
def test_what_stops_it_follows_the_metric(metric: str, stops_by: str) -> None:
    rows = drawn("binary", 60)
    estimator = FAMILY.build({**FAMILY.defaults("binary"), "epochs": 1}, "binary", 0, 1)
    assert FAMILY.fit(estimator, rows, Conditions(metric=metric)).stop_by == stops_by


def test_more_columns_than_memory_holds_are_refused() -> None:
    rows = Rows(np.zeros((10, 20_001), dtype=np.float32), np.arange(10.0))
    with pytest.raises(FactoryError, match="20001 columns are too many"):
        FAMILY.fit(FAMILY.build(FAMILY.defaults("regression"), "regression", 0, 1), rows, Conditions())
