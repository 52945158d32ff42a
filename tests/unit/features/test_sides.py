"""No model is judged on rows that it was trained on, through generations of retraining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.features.sides import HELD, NEW, TRAINED, sides, trained_on
from include.features.splitting import split_as_before
from include.specs import ModelSpec


def spec(kind: str = "regression", **document: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "demo",
            "owner": "me",
            "data": {"source": {"type": "csv", "path": "demo.csv"}, "min_rows": 10, **document.pop("data", {})},
            "problem": {"type": kind, "target": "y"},
            "search": document,
        }
    )


def table(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "z": rng.integers(0, 9, rows), "y": 2 * x + rng.normal(size=rows)})


def contents(frame: pd.DataFrame, target: np.ndarray) -> Counter[tuple[Any, ...]]:
    return Counter(zip(*(frame[name] for name in frame.columns), target.tolist(), strict=True))


def generations(model: ModelSpec, tables: list[pd.DataFrame], seeds: tuple[int, ...] = (0, 1, 2)) -> Iterator[Any]:
    """Yield champion and candidate: each table is joined to those before it, and each candidate becomes champion."""
    champion, rows = None, pd.DataFrame()
    for table, seed in zip(tables, seeds, strict=False):
        rows = pd.concat([rows, table], ignore_index=True).sample(frac=1, random_state=seed)
        search = model.search.model_copy(update={"seed": seed})
        candidate = prepare_rows(rows, model.model_copy(update={"search": search}), False, champion).prepared
        if champion is not None:
            yield champion, candidate
        champion = candidate


def test_rows_stay_on_their_side_through_generations_whatever_the_seed_and_the_order() -> None:
    seen = 0
    for champion, candidate in generations(spec(), [table(400, 1), table(100, 2), table(60, 3)]):
        assert not contents(champion.train, champion.train_target) & contents(candidate.test, candidate.test_target)
        assert not contents(champion.test, champion.test_target) & contents(candidate.train, candidate.train_target)
        assert not trained_on(champion, candidate).any()
        added = len(candidate.train) + len(candidate.test) - len(champion.train) - len(champion.test)
        assert len(candidate.test) - len(champion.test) == added // 4, "of new rows the same share"
        seen += 1
    assert seen == 2


def test_a_plain_draw_would_judge_the_champion_on_its_own_rows() -> None:
    rows = table(400, 1)
    champion = prepare_rows(rows, spec(), False).prepared
    candidate = prepare_rows(pd.concat([rows, table(100, 2)], ignore_index=True), spec(), False).prepared
    seen = set(champion.train["x"]) & set(candidate.test["x"])
    assert len(seen) > 40
    assert set(candidate.test["x"][trained_on(champion, candidate)]) == seen


def test_each_class_of_the_new_rows_is_held_out_in_its_share() -> None:
    tables = [table(400, seed).assign(y=lambda frame: (frame["y"] > 1.5).astype(int)) for seed in (1, 2, 3)]
    for champion, candidate in generations(spec("binary"), tables):
        assert not trained_on(champion, candidate).any()
        assert candidate.test_target.mean() == pytest.approx(candidate.train_target.mean(), abs=0.01)


def test_rows_of_the_same_content_are_counted() -> None:
    frames = [pd.DataFrame({"x": [0, 1] * 100, "y": [0, 1] * 100}), pd.DataFrame({"x": [0, 1] * 20, "y": [0, 1] * 20})]
    noise = np.random.default_rng(0)
    tables = [frame.assign(y=np.where(noise.random(len(frame)) < 0.2, 1 - frame["y"], frame["y"])) for frame in frames]
    for champion, candidate in generations(spec("binary"), tables):
        before, after = (contents(one.train, one.train_target) for one in (champion, candidate))
        assert all(after[content] >= count for content, count in before.items())
        assert len(candidate.test) == pytest.approx(len(champion.test) + 10, abs=2)
        assert not trained_on(champion, candidate).any()


def test_rows_are_known_again_whatever_kept_them() -> None:
    days = pd.date_range("2026-01-01", periods=60, tz="UTC")
    rows = pd.DataFrame({"n": range(60), "t": list("ab") * 30, "b": [True, False, False] * 20, "d": days})
    rows["n"] = rows["n"].astype(float).where(rows["n"] % 7 != 0)
    rows["y"] = [True, False] * 30
    champion = prepare_rows(rows, spec("binary"), False).prepared
    sent = rows.assign(n=rows["n"].astype(object), b=rows["b"].astype(str), d=days.strftime("%Y-%m-%dT%H:%M:%SZ"))
    codes = rows["y"].astype(int).to_numpy()
    found = sides(champion, sent.drop(columns="y").assign(more=1), codes, ["false", "true"])
    assert Counter(found.tolist()) == {NEW: 60}, "other labels"
    for classes in ([False, True], [0, 1], ["0", "1"], [0.0, 1.0]):
        found = sides(champion, sent.drop(columns="y").assign(more=1), codes, classes)
        assert Counter(found.tolist()) == {TRAINED: len(champion.train), HELD: len(champion.test)}
    assert (sides(champion, sent[["n", "t", "d"]], codes, [0, 1]) != NEW).all(), "a column is gone"
    assert (sides(champion, sent[["y"]], codes, [0, 1]) == NEW).all()
    assert (sides(champion, sent, codes.astype(float), None) == NEW).all(), "another task"


def test_groups_stay_whole() -> None:
    tables = [table(300, seed).assign(who=np.repeat(np.arange(30), 10) + 30 * seed) for seed in (0, 1)]
    tables[1].loc[:99, "who"] = np.arange(100) % 30  # known groups have new rows
    groups = pd.concat(tables)["who"].to_numpy()
    for champion, candidate in generations(spec(data={"group": "who"}), tables):
        assert not trained_on(champion, candidate).any()
        assert candidate.train_groups is not None
        both = pd.concat(tables).assign(group=groups)
        held = {group for x, group in zip(both["x"], both["group"], strict=True) if x in set(candidate.test["x"])}
        trained = {group for x, group in zip(both["x"], both["group"], strict=True) if x in set(candidate.train["x"])}
        assert held and trained and not held & trained


def test_a_side_without_rows_is_no_split() -> None:
    y = np.zeros(8)
    assert split_as_before(np.full(8, NEW), y, False, 0.25, 0) is None
    assert split_as_before(np.full(8, TRAINED), y, False, 0.25, 0) is None
    assert split_as_before(np.full(8, HELD), y, False, 0.25, 0) is None


def test_in_time_order_the_rows_of_the_champion_are_told() -> None:
    rows = table(200, 1)
    champion = prepare_rows(rows, spec(), True).prepared
    later = pd.concat([rows, table(40, 2)], ignore_index=True)
    assert not trained_on(champion, prepare_rows(later, spec(), True).prepared).any()
    wider = prepare_rows(later, spec(test_share=0.5), True).prepared
    assert trained_on(champion, wider).sum() == 150 - 120
    assert isinstance(wider, Prepared)
