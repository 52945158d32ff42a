"""The shipped families satisfy the contract; an unknown one is named with a hint."""

from __future__ import annotations

import json

import numpy as np
import pytest

from include.automl.families import Conditions, Params, Rows, find_family
from include.automl.families.forest import MOST_LEAVES
from include.specs import FactoryError
from include.specs.training import FAMILIES
from tests.unit.automl.family_contract import BoostedContract, FamilyContract, MonotoneContract


class TestLinear(FamilyContract):
    family = find_family("linear")


class TestKnn(FamilyContract):
    family = find_family("knn")


class TestSvm(FamilyContract):
    family = find_family("svm")


class TestRandomForest(MonotoneContract):
    family = find_family("random_forest")


class TestExtraTrees(MonotoneContract):
    family = find_family("extra_trees")


class TestXGBoost(BoostedContract):
    family = find_family("xgboost")


class TestLightGBM(BoostedContract):
    family = find_family("lightgbm")


class TestCatBoost(BoostedContract):
    family = find_family("catboost")
    exact = False


def test_a_booster_comes_back_on_one_thread() -> None:
    import skops.io

    family = find_family("xgboost")
    rows, target = np.random.default_rng(0).normal(size=(50, 2)), np.tile([0, 1], 25)
    estimator = family.build({**family.defaults("binary"), "rounds": 2}, "binary", 0, 2)
    fitted = family.for_serving(family.fit(estimator, Rows(rows, target), Conditions()))
    kept = skops.io.dumps(fitted)
    again = skops.io.loads(kept, trusted=skops.io.get_untrusted_types(data=kept))
    config = json.loads(again.get_booster().save_config())
    assert config["learner"]["generic_param"]["nthread"] == "1"


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
def test_a_forest_of_many_rows_stays_small(name: str) -> None:
    family = find_family(name)
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(20_000, 2)).astype(np.float32), rng.normal(size=20_000))
    params = {**family.defaults("regression"), "min_leaf": 1}
    fitted = family.fit(family.build(params, "regression", 0, 1), rows, Conditions(seconds=2))
    leaves = np.mean([tree.tree_.n_leaves for tree in fitted.estimators_])
    assert 100 * leaves < 1.1 * MOST_LEAVES


@pytest.mark.parametrize(("name", "shape"), [("knn", (200_000, 5)), ("knn", (5_000, 1_500)), ("svm", (200_000, 5))])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_family_refuses_what_would_not_fit_into_memory(name: str, shape: tuple[int, int], task: str) -> None:
    family = find_family(name)
    rows = Rows(np.zeros(shape, dtype=np.float32), np.arange(shape[0]) % 2)
    with pytest.raises(FactoryError, match=f"{shape[0]} rows × {shape[1]} columns are too many"):
        family.fit(family.build(family.defaults(task), task, 0, 1), rows, Conditions())


@pytest.mark.parametrize("name", FAMILIES)
def test_classes_that_count_alike_are_learnt_alike(name: str) -> None:
    """A rare class that overlaps with a frequent one is answered as often as it occurs among equals."""
    family, rng = find_family(name), np.random.default_rng(0)
    target = np.repeat([0, 1, 2], [380, 380, 40])
    values = rng.normal(size=(800, 2)).astype(np.float32) + 1.2 * np.array([[0, 0], [8, 0], [0, 1]])[target]
    test = (rng.normal(size=(400, 2)) + 1.2 * np.array([0, 1])).astype(np.float32)

    def answered(params: Params, metric: str) -> float:
        params = {**params, "rounds": 40} if "rounds" in params else params
        estimator = family.build(params, "multiclass", 0, 1)
        fitted = family.fit(estimator, Rows(values.astype(np.float32), target), Conditions(metric=metric))
        return (fitted.predict(test) == 2).mean()

    gains = [
        answered(params, "balanced_accuracy") - answered(params, "log_loss")
        for params in family.portfolio("multiclass")
    ]
    assert max(gains) > 0.1


def test_every_family_of_the_spec_is_there() -> None:
    assert [find_family(name).name for name in FAMILIES] == list(FAMILIES)


def test_an_unknown_family_gets_a_hint() -> None:
    with pytest.raises(FactoryError, match="did you mean 'xgboost'"):
        find_family("xgbost")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_lightgbm_model_answers_rows_on_its_thresholds_the_same_in_single_precision(task: str) -> None:
    rng = np.random.default_rng(0)
    rows = np.round(rng.normal(size=(2000, 4)), 2).astype(np.float32)  # thresholds lie between neighbouring values
    signal = rows[:, 0] + rows[:, 1] * rows[:, 2]
    target = signal if task == "regression" else np.digitize(signal, [0.0] if task == "binary" else [-1.0, 1.0])
    family = find_family("lightgbm")
    fitted = family.fit(
        family.build({**family.defaults(task), "rounds": 60}, task, 0, 1), Rows(rows, target), Conditions()
    )
    before = fitted.booster_.predict(rows)
    thresholds = set()
    served = family.for_serving(fitted)
    np.testing.assert_array_equal(served.booster_.predict(rows), before)
    for line in served.booster_.model_to_string().split("\n"):
        if line.startswith("threshold="):
            thresholds |= set(map(float, line.removeprefix("threshold=").split()))
    assert len(thresholds) > 50 and all(float(np.float32(one)) == one for one in thresholds)


def test_every_family_that_can_be_monotone_is_held_to_it() -> None:
    able = {name for name in FAMILIES if find_family(name).can_be_monotone}
    held = {
        one.family.name
        for one in globals().values()
        if isinstance(one, type) and issubclass(one, MonotoneContract) and hasattr(one, "family")
    }
    assert able == held
