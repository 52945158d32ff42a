"""Reading a row straight from its text: what is read is the row that the general reader reads, unknown columns stay wrong."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.serving.models.rows import NAN, RowError, RowReader
from include.serving.models.typed_rows import TypedReader
from tests.model_packages import CHURN, HOUSE, ROW, thrifty

GENERAL = RowReader(CHURN, ignored=("customer_id",))
KNOWN = GENERAL.known | {"of another variant"}
TYPED = TypedReader(GENERAL, KNOWN)
VALUE = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "pro", "2026-02-01", "2026-02-01T08:00:00Z", "2026-02-01T10:00:00+13:00", "1500-01-01"])
    | st.lists(st.integers(), max_size=2)
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(ROW, VALUE), optional=dict.fromkeys([*KNOWN - set(ROW), "x"], VALUE)))
def test_a_row_is_read_as_the_general_reader_reads_it(features: dict) -> None:
    text = msgspec.Raw(json.dumps(features).encode())
    try:
        row = TYPED.read(text)
    except ValueError:
        return
    assert row == GENERAL.read(json.loads(bytes(text)), KNOWN)
    assert [type(value) for value in row] == [type(value) for value in GENERAL.read(features, KNOWN)]


@pytest.mark.parametrize(
    "features",
    [ROW, {**ROW, "customer_id": [1]}, dict.fromkeys(ROW), {**ROW, "age": 10**30, "seen": "2026-02-01"}],
)
def test_usual_rows_are_read(features: dict) -> None:
    assert TYPED.read(msgspec.Raw(json.dumps(features).encode())) == GENERAL.read(features, KNOWN)


def test_a_missing_number_is_the_one_nan_by_which_the_cache_knows_rows() -> None:
    reader = TypedReader(RowReader(HOUSE), frozenset())
    row = reader.read(msgspec.Raw(b'{"rooms": null, "area": 1, "year": 2.5}'))
    assert row == (NAN, 1.0, 2.5)
    assert row[0] is NAN


THRIFTY = RowReader(thrifty().manifest.features, ignored=("customer_id",))


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries({"age": VALUE, "vip": VALUE}, optional=dict.fromkeys(["plan", "seen", "customer_id"], VALUE))
)
def test_columns_that_the_model_does_not_read_may_be_left_out_or_be_anything(features: dict) -> None:
    reader = TypedReader(THRIFTY, THRIFTY.known)
    try:
        row = reader.read(msgspec.Raw(json.dumps(features).encode()))
    except ValueError:
        return
    assert row == THRIFTY.read(features, THRIFTY.known)
    assert row[2:] == (None, None)


def test_a_column_that_is_read_is_still_asked_for() -> None:
    assert THRIFTY.read({"age": 33, "vip": True, "plan": 7}, THRIFTY.known) == (33.0, 1.0, None, None)
    with pytest.raises(RowError) as raised:
        THRIFTY.read({"age": "33", "seen": "soon", "color": 1}, THRIFTY.known)
    assert {name for name, _ in raised.value.problems} == {"age", "vip", "color"}


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", '{"rooms": 1, "area": 2}', '{"rooms": 1, "area": 2, "year": 3, "x": 4}', '{"rooms": "1", "area": 2, "year": 3}',
     '{"rooms": true, "area": 2, "year": 3}', '{"rooms": 3.5e38, "area": 2, "year": 3}', '{"rooms": 1e999, "area": 2, "year": 3}'],
)  # fmt: skip
def test_what_the_general_reader_refuses_is_refused(text: str) -> None:
    general = RowReader(HOUSE)
    with pytest.raises(ValueError):
        TypedReader(general, frozenset()).read(msgspec.Raw(text.encode()))
    features = json.loads(text)
    if isinstance(features, dict):
        with pytest.raises(RowError):
            general.read(features, general.known)
