from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.features.splitting import SplitError, group_codes, split_at_random, split_by_group, split_by_time


def days(values: list[int]) -> np.ndarray:
    return np.array(values, dtype="datetime64[D]").astype("datetime64[ns]")


def test_the_latest_rows_are_held_out_whatever_their_order() -> None:
    times = days([5, 1, 9, 3, 7, 2, 8, 4])
    split = split_by_time(times, 8, 0.25)
    assert sorted(split.test.tolist()) == [2, 6]
    assert times[split.train].max() < times[split.test].min()
    assert (np.diff(times[split.train]) > np.timedelta64(0)).all()  # oldest first, as temporal folds expect


@pytest.mark.parametrize("values", [[1] * 9 + [2], [1] + [2] * 9, [1, 2, 2, 2, 2, 2, 2, 2, 2, 3]])
def test_rows_of_the_same_time_stay_together(values: list[int]) -> None:
    times = days(values)
    split = split_by_time(times, len(times), 0.25)
    assert not set(times[split.train]) & set(times[split.test])
    assert len(split.train) + len(split.test) == len(times)
    assert len(split.train)
    assert len(split.test)


def test_one_time_for_all_cannot_be_split_by_time() -> None:
    with pytest.raises(SplitError, match="same time"):
        split_by_time(days([3] * 20), 20, 0.25)


def test_rows_in_order_without_a_time_are_cut_at_the_end() -> None:
    split = split_by_time(None, 100, 0.2)
    assert split.train.tolist() == list(range(80))
    assert split.test.tolist() == list(range(80, 100))


def test_neither_time_nor_group_leaks() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 300, 400)
    times = days(rng.integers(0, 1000, 400).tolist())
    split = split_by_time(times, 400, 0.25, groups)
    assert not set(groups[split.train]) & set(groups[split.test])
    assert times[split.train].max() < times[split.test].min()
    left_out = 400 - len(split.train) - len(split.test)
    assert left_out > 0
    assert f"{left_out} earlier rows of their groups left out" in split.how
    with pytest.raises(SplitError, match="every group has held-out rows"):
        split_by_time(times, 400, 0.25, np.zeros(400))


def test_groups_stay_on_one_side_and_every_class_is_on_both() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 25)
    y = np.where(groups < 2, 1, 0)  # the rare class lives in two groups
    for seed in range(10):
        split = split_by_group(groups, y, True, 0.25, seed)
        assert not set(groups[split.train]) & set(groups[split.test])
        assert set(y[split.train]) == set(y[split.test]) == {0, 1}
    assert split_by_group(groups, rng.normal(size=300), False, 0.25, 7).test.size == 75
    with pytest.raises(SplitError, match="one group only"):
        split_by_group(np.zeros(30), y[:30], True, 0.25, 7)


def test_a_random_draw_keeps_the_class_shares_and_repeats() -> None:
    y = np.repeat([0, 1], [900, 100])
    first, again = (split_at_random(y, True, 0.25, 7) for _ in range(2))
    assert y[first.test].sum() == 25
    assert first.train.tolist() == again.train.tolist()
    assert first.train.tolist() != split_at_random(y, True, 0.25, 8).train.tolist()
    with pytest.raises(SplitError, match="every class on both sides"):
        split_at_random(np.array([0] * 50 + [1]), True, 0.25, 7)


def test_a_row_without_a_group_is_a_group_of_its_own() -> None:
    codes = group_codes(pd.Series(["a", None, "b", None, "a"]))
    assert codes[0] == codes[4]
    assert len(set(codes)) == 4
