"""Numbers are used as names only where they tell more that way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.features.codes import is_code
from include.features.plan import FeaturePlan

ROWS = 4000
RNG = np.random.default_rng(0)
ZIP = RNG.integers(100, 200, ROWS).astype(float)
BY_ZIP = RNG.normal(size=100)[(ZIP - 100).astype(int)]


def targets(signal: np.ndarray, task: str) -> np.ndarray:
    values = signal + RNG.normal(size=ROWS) * 0.5
    return values if task == "regression" else np.digitize(values, [0] if task == "binary" else [-0.7, 0.7])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("scale", [False, True])
def test_postal_codes_are_names(task: str, scale: bool) -> None:
    y = targets(BY_ZIP, task)
    assert is_code(ZIP, y, task, 20, scale)  # type: ignore[arg-type]
    with_gaps = np.where(RNG.random(ROWS) < 0.2, np.nan, ZIP)
    assert is_code(with_gaps, y, task, 20, scale)  # type: ignore[arg-type]
    assert not is_code(ZIP + 0.5, y, task, 20, scale)  # type: ignore[arg-type]
    assert not is_code(ZIP, RNG.permutation(y), task, 20, scale)  # type: ignore[arg-type]


def test_quantities_are_none() -> None:
    for signal in ((ZIP - 150) / 30, np.sin(ZIP / 30), (ZIP > 160) * 2.0 - 1):
        assert not is_code(ZIP, targets(signal, "regression"), "regression", 20, scale=False)
    assert not is_code(ZIP // 10, targets((ZIP - 150) / 30, "regression"), "regression", 20, scale=True)
    assert not is_code(np.arange(ROWS) // 10 * 1.0, targets(BY_ZIP, "binary"), "binary", 20, scale=False)


def test_a_linear_model_gets_each_weekday_and_trees_get_a_range() -> None:
    day = RNG.integers(0, 7, ROWS).astype(float)
    frame = pd.DataFrame({"day": day, "zip": ZIP})
    y = targets(np.array([1, -1, 1, -1, 0, 2, -2])[day.astype(int)] + BY_ZIP, "regression")
    scaled = FeaturePlan(numeric=("day", "zip"), scale=True, task="regression").fit(frame, y)
    assert {f"day={number}" for number in range(7)} <= set(scaled.get_feature_names_out())
    trees = FeaturePlan(numeric=("day", "zip"), max_onehot=4, task="regression").fit(frame, y)
    assert list(trees.get_feature_names_out()) == ["day", "zip", "zip (target mean)", "zip (rows)"]
