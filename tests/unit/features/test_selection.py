"""Noise goes, what tells something stays, and nothing goes where that would cost quality."""

from __future__ import annotations

import numpy as np
import pandas as pd

from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.features.selection import is_wide, select, without
from include.specs.training import Features
from include.store.packages import Field

ROWS, NOISE = 500, 110


def wide(signals: int = 3, noise: int = NOISE, strength: float = 1.5) -> Prepared:
    """Return a table of ``signals`` columns that tell something, ``noise`` that do not, and a regression's target."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, signals + noise))
    names = [f"signal {number}" for number in range(signals)] + [f"noise {number}" for number in range(noise)]
    target = strength * values[:, :signals].sum(axis=1) + rng.normal(size=ROWS)
    frame = pd.DataFrame(values, columns=names)
    return Prepared(
        task="regression",
        fields=tuple(Field(name=name, type="number") for name in names),
        classes=None,
        train=frame,
        train_target=target,
        test=frame.head(7),
        test_target=target[:7],
    )


def dropped(data: Prepared, seconds: float = 120, **features: object) -> dict[str, str]:
    return select(data, Features.model_validate(features), metric("rmse"), seconds, seed=1)


def test_noise_goes_and_what_tells_something_stays() -> None:
    data = wide()
    found = dropped(data, numeric=["noise 5"])
    assert not [name for name in found if name.startswith("signal")]
    assert len(found) > 0.8 * NOISE
    assert "noise 5" not in found  # the user asked for it
    assert all("by luck up to" in reason for reason in found.values())
    left = without(data, list(found))
    assert [field.name for field in left.fields] == list(left.train.columns) == list(left.test.columns)
    assert len(left.fields) == len(data.fields) - len(found)


def test_many_weak_columns_are_not_thrown_away() -> None:
    data = wide(signals=104, noise=0, strength=0.3)
    found = dropped(data)
    assert len(found) < 52


def test_only_wide_tables_are_looked_at_and_only_in_time() -> None:
    assert not is_wide(wide(noise=20))
    assert dropped(wide(noise=20)) == {}
    assert is_wide(wide(noise=60))  # fewer than ten rows a column
    assert dropped(wide(), seconds=0.01) == {}
