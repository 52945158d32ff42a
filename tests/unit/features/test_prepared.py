from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.features.prepared import Prepared, PreparedError
from include.store.packages import Field, typed

FIELDS = (
    Field(name="fee", type="number", example=9.5),
    Field(name="active", type="boolean"),
    Field(name="plan", type="string"),
    Field(name="seen", type="datetime"),
    Field(name="note", type="string"),
)


def make(groups: bool) -> Prepared:
    rows = typed(
        pd.DataFrame(
            {
                "fee": [1.5, None, 3],
                "active": [True, None, False],
                "plan": ["basic", None, "pro"],
                "seen": ["2026-01-01T10:00:00Z", None, "2026-01-02"],
                "note": [None, None, None],
            }
        ).assign(seen=lambda frame: pd.to_datetime(frame["seen"], utc=True, format="ISO8601")),
        FIELDS,
    )
    return Prepared(
        task="binary",
        fields=FIELDS,
        classes=("No", "Yes"),
        train=rows,
        train_target=np.array([0, 1, 0]),
        test=rows.head(2),
        test_target=np.array([1, 0]),
        train_groups=np.array([4, 4, 7]) if groups else None,
        ordered=not groups,
    )


@pytest.mark.parametrize("groups", [False, True])
def test_what_was_saved_is_what_is_loaded(tmp_path: Path, groups: bool) -> None:
    saved = make(groups)
    saved.save(tmp_path / "prepared")
    loaded = Prepared.load(tmp_path / "prepared")
    pd.testing.assert_frame_equal(loaded.train, saved.train)
    pd.testing.assert_frame_equal(loaded.test, saved.test)
    assert loaded.train_target.tolist() == [0, 1, 0]
    assert loaded.test_target.tolist() == [1, 0]
    assert (loaded.task, loaded.fields, loaded.classes) == ("binary", FIELDS, ("No", "Yes"))
    assert loaded.ordered is not groups
    assert (loaded.train_groups.tolist() if loaded.train_groups is not None else None) == (
        [4, 4, 7] if groups else None
    )


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    make(False).save(tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"PAR1 half a file")
    with pytest.raises(PreparedError, match="run the step 'prepare' again"):
        Prepared.load(tmp_path)
    with pytest.raises(PreparedError, match="no valid prepared data"):
        Prepared.load(tmp_path / "nothing")
