"""Tables of MLflow's and TensorFlow's protocols: every shape gives the same rows, and what is no table says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.serving.errors import ServingError, refusal
from include.serving.scoring.tables import csv_rows, instances_of, invocation_of, record_of, rows_of
from include.store.packages import Field, Manifest

FIELDS = (Field(name="n", type="number"), Field(name="flag", type="boolean"), Field(name="text", type="string"))
MANIFEST = Manifest(
    model="m", task="regression", target="t", features=FIELDS, algorithm="any", run="r", trained_at=datetime.now(UTC)
)
ROWS = [{"n": 1.5, "flag": True, "text": "a"}, {"n": None, "flag": False, "text": None}]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": ROWS},
        {
            "dataframe_split": {
                "columns": ["n", "flag", "text"],
                "index": [7, 8],
                "data": [list(row.values()) for row in ROWS],
            }
        },
        {"instances": ROWS},
        {"instances": [list(row.values()) for row in ROWS]},
        {"inputs": ROWS},
        {"inputs": {name: [row[name] for row in ROWS] for name in ROWS[0]}},
        {"inputs": {name: [[row[name]] for row in ROWS] for name in ROWS[0]}, "params": {"event_time": "2026-01-01"}},
    ],
)
def test_every_shape_gives_the_same_rows(body: dict[str, Any]) -> None:
    found = invocation_of(json.dumps(body).encode())
    rows = rows_of(found, MANIFEST)
    assert rows == ROWS
    assert {one.event_time for one in instances_of(rows, found.params)} == {
        (body.get("params") or {}).get("event_time")
    }


def test_csv_reads_each_column_as_its_type() -> None:
    assert csv_rows(b'\xef\xbb\xbfn,flag,text\r\n1.5,true,a\r\n,False,\r\nNaN,1,"x,\n y"\r\n\r\n', MANIFEST) == [
        *ROWS,
        {"n": None, "flag": True, "text": "x,\n y"},
    ]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "empty"),
        (b"\xff", 400, "UTF-8"),
        (b'n,"flag', 400, "no CSV"),
        (b"n,n\n1,2\n", 400, "twice"),
        (b"n,flag,text\n1,true\n", 422, "line 2: has 2 values for 3 columns"),
        (b"n,flag,text\nsecret,true,a\n", 422, "line 2.n: must be a number"),
        (b"n,flag,text\n1,maybe,a\n", 422, "line 2.flag: must be true or false"),
    ],
)
def test_what_is_no_csv_says_why(body: bytes, status: int, told: str) -> None:
    with pytest.raises(ServingError) as caught:
        csv_rows(body, MANIFEST)
    assert caught.value.status == status
    text = caught.value.protocol_body()["error"]
    assert told in text
    assert "secret" not in text
    assert refusal(caught.value, "/invocations")[0] == 400


@settings(max_examples=200, deadline=None)
@given(
    body=st.dictionaries(
        st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["columns", "data", "n", "flag"]), inner, max_size=3)
            ),
            max_leaves=10,
        ),
        max_size=2,
    )
)
def test_whatever_is_sent_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        rows = rows_of(invocation_of(json.dumps(body).encode()), MANIFEST)
        assert all(isinstance(row, dict) for row in rows)
        instances_of(rows, None)
    except ServingError as error:
        assert error.status == 422


def test_a_record_is_a_row_of_the_registered_model() -> None:
    answer = {"id": "a", "label": "x", "probabilities": {"x": 0.75, "y": 0.25}}
    assert record_of(answer) == {"label": "x", "probability_x": 0.75, "probability_y": 0.25}
