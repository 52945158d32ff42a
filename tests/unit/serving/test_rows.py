"""Reading a caller's row: precise complaints, and the very frame that training used."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.inference.frames import mixed_frame, numeric_frame
from include.serving.models.rows import LARGEST, RowError, RowReader
from include.serving.models.typed_rows import TypedReader
from include.store.packages import Field
from tests.model_packages import CHURN, HOUSE, ROW, churn, house

READER = RowReader(CHURN, ignored=("customer_id",))


def complaints(features: dict) -> dict[str, str]:
    with pytest.raises(RowError) as raised:
        READER.read(features, READER.known)
    return dict(raised.value.problems)


@pytest.mark.parametrize(
    "rows",
    [
        [ROW],
        [ROW, {"age": None, "vip": None, "plan": None, "seen": None}],
        [{"age": None, "vip": None, "plan": None, "seen": None}],
        [{"age": 1.5, "vip": 0, "plan": "", "seen": "2026-02-01"}, {**ROW, "seen": "2026-02-01T10:00:00+13:00"}],
    ],
)
def test_the_frame_is_the_one_that_training_made(rows: list[dict]) -> None:
    package = churn()
    reader = RowReader(package.manifest.features)
    ours = mixed_frame([reader.read(row, reader.known) for row in rows], CHURN)
    pd.testing.assert_frame_equal(ours, package.frame(rows), check_column_type=False)
    assert package.predict(ours) == package.predict(package.frame(rows))


def test_a_numeric_frame_is_the_one_that_training_made() -> None:
    package = house()
    reader = RowReader(HOUSE)
    rows = [{"rooms": 1, "area": None, "year": 2.5}, {"rooms": -1.0, "area": 1e20, "year": 0}]
    ours = numeric_frame([reader.read(row, reader.known) for row in rows], HOUSE)
    pd.testing.assert_frame_equal(ours, package.frame(rows), check_column_type=False)


def test_every_problem_is_named_at_once() -> None:
    found = complaints({"age": "33", "plan": 5, "sen": "2026-01-01", "vip": "yes"})
    assert set(found) == {"age", "plan", "seen", "sen", "vip"}
    assert "must be a number or null, not a string" in found["age"]
    assert "not a number" in found["plan"]
    assert "is missing" in found["seen"]
    assert "did you mean 'seen'?" in found["sen"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", True),
        ("age", []),
        ("age", {}),
        ("age", 1e39),
        ("age", -(10**400)),
        ("vip", 2),
        ("vip", "yes"),
        ("vip", 0.5),
        ("plan", True),
        ("plan", ["pro"]),
        ("seen", "yesterday"),
        ("seen", 1700000000),
        ("seen", "1500-01-01"),
        ("seen", "9999-12-31T23:59:59-23:00"),
        ("seen", "0001-01-01T00:00:00+23:00"),
    ],
)
def test_a_wrong_value_is_named_without_being_repeated(name: str, value: object) -> None:
    found = complaints({**ROW, name: value})
    assert list(found) == [name]
    if isinstance(value, str):
        assert value not in found[name]


def test_limits_of_numbers_are_those_of_float32() -> None:
    row = READER.read({**ROW, "age": LARGEST}, READER.known)
    assert np.float32(row[0]) == np.finfo(np.float32).max


def test_ignored_columns_are_welcome_and_unknown_ones_are_not() -> None:
    READER.read({**ROW, "customer_id": "c-1"}, READER.known)
    READER.read({**ROW, "only_the_other_version_knows_this": 1}, READER.known | {"only_the_other_version_knows_this"})
    assert list(complaints({**ROW, "colour": "red"})) == ["colour"]


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*ROW, "customer_id", "x"]), JSON_VALUE, max_size=6))
def test_any_row_is_read_or_refused(features: dict) -> None:
    features = json.loads(json.dumps(features))
    try:
        row = READER.read(features, READER.known)
    except RowError as error:
        assert error.problems
    else:
        assert len(churn().predict(mixed_frame([row], CHURN))) == 1


def test_what_a_model_cannot_do_without_is_asked_for() -> None:
    fields = (Field(name="age", type="number", required=True), Field(name="count", type="number", whole=True))
    reader = RowReader(fields)
    assert reader.read({"age": 1.5, "count": 3}, reader.known) == (1.5, 3.0)
    assert math.isnan(reader.read({"age": 1, "count": None}, reader.known)[1])
    with pytest.raises(RowError) as error:
        reader.read({"age": None, "count": 2.5}, reader.known)
    assert dict(error.value.problems) == {
        "age": "must not be null: this model has no answer to a missing value",
        "count": "must be a whole number: this model takes no fractions",
    }
    with pytest.raises(RowError) as error:
        reader.read({}, reader.known)
    assert dict(error.value.problems)["age"] == "is missing"
    typed = TypedReader(reader, reader.known)
    assert typed.read(msgspec.Raw(b'{"age": 1.5, "count": 3}')) == (1.5, 3.0)
    for refused in (b'{"age": null, "count": 3}', b'{"age": 1, "count": 2.5}'):
        with pytest.raises(ValueError, match=r"null|whole"):
            typed.read(msgspec.Raw(refused))
