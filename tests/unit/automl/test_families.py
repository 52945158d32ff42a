"""The shipped families satisfy the contract; an unknown one is named with a hint."""

from __future__ import annotations

import json

import numpy as np
import pytest

from include.automl.families import find_family
from include.specs import FactoryError
from include.specs.training import FAMILIES
from tests.unit.automl.family_contract import FamilyContract


class TestLinear(FamilyContract):
    family = find_family("linear")


class TestXGBoost(FamilyContract):
    family = find_family("xgboost")


def test_a_booster_comes_back_on_one_thread() -> None:
    import skops.io

    family = find_family("xgboost")
    rows, target = np.random.default_rng(0).normal(size=(50, 2)), np.tile([0, 1], 25)
    fitted = family.for_serving(
        family.build({**family.defaults("binary"), "rounds": 2}, "binary", 0, 2).fit(rows, target)
    )
    kept = skops.io.dumps(fitted)
    again = skops.io.loads(kept, trusted=skops.io.get_untrusted_types(data=kept))
    config = json.loads(again.get_booster().save_config())
    assert config["learner"]["generic_param"]["nthread"] == "1"


class TestRandomForest(FamilyContract):
    family = find_family("random_forest")


def test_every_family_of_the_spec_is_there() -> None:
    assert [find_family(name).name for name in FAMILIES] == list(FAMILIES)


def test_an_unknown_family_gets_a_hint() -> None:
    with pytest.raises(FactoryError, match="did you mean 'xgboost'"):
        find_family("xgbost")
