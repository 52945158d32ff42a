from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.data.frames import as_kind, duplicated, kind_of, normalise


@pytest.mark.parametrize(
    ("values", "kind", "dtype", "expected"),
    [
        ([1, 2], "number", "int64", [1, 2]),
        ([1, None], "number", "float64", [1.0, None]),
        ([Decimal("1.5"), None], "number", "float64", [1.5, None]),
        ([1.0, np.inf, -np.inf], "number", "float64", [1.0, None, None]),
        (["12", 13, "14.5"], "number", "float64", [12.0, 13.0, 14.5]),
        ([None, None], "number", "float64", [None, None]),
        ([True, False], "boolean", "bool", [True, False]),
        ([True, None], "boolean", "boolean", [True, None]),
        ([True, 2], "string", "object", ["True", "2"]),
        (["a", None, 1], "string", "object", ["a", None, "1"]),
        (["", "2025"], "string", "object", ["", "2025"]),
        (["2025-01-31", None], "datetime", "datetime64[ns, UTC]", [datetime(2025, 1, 31, tzinfo=UTC), None]),
        (["2025-02-30"], "string", "object", ["2025-02-30"]),
        (["2025-01-31", "soon"], "string", "object", ["2025-01-31", "soon"]),
        (
            ["2025-01-31T23:30:00-02:00", "2025-01-31 10:00"],
            "datetime",
            "datetime64[ns, UTC]",
            [datetime(2025, 2, 1, 1, 30, tzinfo=UTC), datetime(2025, 1, 31, 10, tzinfo=UTC)],
        ),
        ([date(2025, 1, 1)], "datetime", "datetime64[ns, UTC]", [datetime(2025, 1, 1, tzinfo=UTC)]),
        ([timedelta(minutes=2), None], "number", "float64", [120.0, None]),
    ],
)
def test_a_column_gets_its_normal_form(values: list[Any], kind: str, dtype: str, expected: list[Any]) -> None:
    column = normalise(pd.DataFrame({"x": pd.Series(values, dtype=object)}))["x"]
    assert (kind_of(column), str(column.dtype)) == (kind, dtype)
    assert [None if pd.isna(value) else value for value in column] == expected


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("Int64", "float64"), ("category", "object"), ("string", "object"), ("float32", "float64"), ("UInt8", "float64")],
)
def test_the_dtypes_of_pandas_are_few_afterwards(dtype: str, expected: str) -> None:
    values = ["a", None] if dtype in ("category", "string") else [1, None]
    assert str(normalise(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}))["x"].dtype) == expected


def test_numbers_beyond_64_bits_lose_digits_rather_than_the_run() -> None:
    assert normalise(pd.DataFrame({"x": pd.Series([2**63], dtype="uint64")}))["x"].tolist() == [float(2**63)]


def test_normalising_twice_changes_nothing() -> None:
    frame = pd.DataFrame({"a": [1, None], "b": ["x", None], "c": ["2025-01-01", "2025-01-02"], "d": [True, None]})
    once = normalise(frame)
    pd.testing.assert_frame_equal(normalise(once), once)


def test_another_kind_keeps_what_can_be_read_as_it() -> None:
    texts = pd.Series(["1", "x", None], dtype=object)
    assert as_kind(texts, "number").tolist()[:1] == [1.0]
    assert as_kind(texts, "number").isna().tolist() == [False, True, True]
    assert as_kind(pd.Series([1.0, np.nan]), "string").tolist() == ["1.0", None]
    assert as_kind(pd.Series([1, 0, 7]), "boolean").tolist() == [True, False, pd.NA]
    assert as_kind(pd.Series(["2025-01-01", "?"], dtype=object), "datetime").isna().tolist() == [False, True]


def test_duplicates_are_named_once() -> None:
    assert duplicated(["b", "a", "b", "a", "b", "c"]) == ["b", "a"]
