from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

from include.data.frames import normalise
from include.data.snapshot import DATA, PROFILE, SCHEMA, digest, take, to_parquet
from include.specs import Platform
from include.store.artifacts import ArtifactStore
from tests.unit.data.source_contract import frame


def test_equal_content_has_one_digest_however_it_came() -> None:
    rows = frame()
    copies = [
        rows.copy(),
        normalise(rows.assign(text=rows["text"].astype("string"), flag=rows["flag"].astype("boolean"))),
        normalise(pd.read_csv(io.StringIO(rows.to_csv(index=False)), float_precision="round_trip")),
        normalise(pd.read_parquet(io.BytesIO(to_parquet(rows)))),
        rows.assign(Amount=rows["Amount"].where(rows["Amount"] != 0, -0.0)),
    ]
    assert {digest(copy) for copy in copies} == {digest(rows)}


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.iloc[::-1].reset_index(drop=True),
        lambda f: f[f.columns[::-1]],
        lambda f: f.rename(columns={"text": "Text"}),
        lambda f: f.iloc[:-1],
        lambda f: f.assign(count=f["count"].astype("float64")),
        lambda f: f.assign(count=f["count"].where(f["count"] != 3, 4)),
        lambda f: f.assign(Amount=f["Amount"].fillna(0.0)),
        lambda f: f.assign(text=f["text"].fillna("")),
        lambda f: f.assign(flag=~f["flag"]),
        lambda f: f.assign(happened=f["happened"] + pd.Timedelta(1)),
    ],
)
def test_any_change_changes_the_digest(change: object) -> None:
    assert digest(normalise(change(frame()))) != digest(frame())  # type: ignore[operator]


def test_text_cannot_move_between_rows_unnoticed() -> None:
    one, other = (pd.DataFrame({"x": np.array(values, dtype=object)}) for values in (["ab", "c"], ["a", "bc"]))
    assert digest(one) != digest(other)


def test_the_digest_is_the_same_in_the_next_release() -> None:
    """Versions name snapshots by it: a change of this value orphans them."""
    assert digest(frame(3)) == "e787d9fba8696b7ee4cf715769da3d9f7c37bda94b077b9d22beba221ca732a6"


def test_a_snapshot_is_written_once(platform: Platform) -> None:
    store = ArtifactStore.of(platform)
    first = take(store, "demo", frame())
    folder = first.path.removesuffix(DATA)
    assert store.files(folder) == [f"{folder}{name}" for name in (DATA, PROFILE, SCHEMA)]
    store.write_bytes(f"{folder}{PROFILE}", b"touched")
    assert take(store, "demo", frame()) == first
    assert store.read_bytes(f"{folder}{PROFILE}") == b"touched"


def test_a_snapshot_that_broke_off_is_completed(platform: Platform) -> None:
    store = ArtifactStore.of(platform)
    path = take(store, "demo", frame()).path
    store.delete(path)
    assert store.exists(take(store, "demo", frame()).path)


def test_the_file_reads_back_and_is_the_same_each_time(platform: Platform) -> None:
    store = ArtifactStore.of(platform)
    with store.local(take(store, "demo", frame()).path) as path:
        pd.testing.assert_frame_equal(pd.read_parquet(path), frame())
    assert to_parquet(frame()) == to_parquet(frame())


def test_schema_and_profile_say_what_is_in_it(platform: Platform) -> None:
    store = ArtifactStore.of(platform)
    folder = take(store, "demo", frame()).path.removesuffix(DATA)
    schema = json.loads(store.read_bytes(f"{folder}{SCHEMA}"))
    assert {"name": "Amount", "kind": "number", "dtype": "float64", "nullable": True} in schema
    profile = json.loads(store.read_bytes(f"{folder}{PROFILE}"))
    assert profile["rows"] == 60
    amount = profile["columns"]["Amount"]
    assert (amount["nulls"], amount["distinct"]) == (9, 51)
    assert amount["max"] == pytest.approx(59 / 3)
    assert amount["quantiles"]["0.5"] == pytest.approx(np.nanmedian(frame()["Amount"]))
    assert profile["columns"]["flag"]["top"] == {"False": 30, "True": 30}
    assert profile["columns"]["happened"]["max"] == "2025-04-01T11:00:00+00:00"
