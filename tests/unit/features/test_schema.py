"""Types, roles and reasons, on columns as they come from CSV files, databases and the prediction log."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.features.parsing import parse
from include.features.schema import detect, read
from include.specs import ModelSpec, SpecError
from include.store.packages import typed

ROWS = 200


def spec(target: str = "y", kind: str = "binary", features: dict[str, Any] | None = None, **data: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "demo",
            "owner": "me",
            "data": {"source": {"type": "csv", "path": "demo.csv"}, **data},
            "problem": {"type": kind, "target": target},
            "features": features or {},
        }
    )


def table(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"y": rng.integers(0, 2, ROWS), "signal": rng.normal(size=ROWS), **columns})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 2, None], "number"),
        ([1.5, 2, np.inf], "number"),
        ([Decimal("1.50"), None], "number"),
        ([" 12.5 ", "7", " ", "8"] * 20, "number"),
        (["1e3", "-4"], "number"),
        (["007", "010"], "string"),
        ([True, False, None], "boolean"),
        (["true", "FALSE", None], "boolean"),
        (["yes", "no"], "string"),
        (["a", 1, 2.5, None], "string"),
        ([1, 2, 3] * 20 + ["unknown"], "number"),
        ([dt.date(2026, 1, 1), None], "datetime"),
        ([dt.datetime(2026, 1, 1, 10)], "datetime"),
        (["2026-01-01", "2026-01-01T10:00:00Z", "2026-01-02 11:30:00+02:00"], "datetime"),
        (["01/02/2026", "03/04/2026"], "datetime"),
        (["20260101", "20260102"], "number"),
    ],
)
def test_type_of_a_column(values: list[Any], kind: str) -> None:
    assert parse(pd.Series(values, dtype=object)).type == kind
    assert parse(pd.Series(values, dtype=object).infer_objects()).type == kind


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "string", "category", "datetime64[s]"])
def test_pandas_own_dtypes_are_read_like_plain_ones(dtype: str) -> None:
    values = {"Int64": [1, None], "boolean": [True, None], "datetime64[s]": ["2026-01-01", None]}.get(
        dtype, ["a", None]
    )
    parsed = parse(pd.Series(values, dtype=dtype))
    wanted = {"Int64": "number", "boolean": "boolean", "datetime64[s]": "datetime"}.get(dtype, "string")
    assert parsed.type == wanted
    assert parsed.values.isna().tolist() == [False, True]


def test_numbers_as_text_with_a_few_blanks_become_numbers_and_the_loss_is_noted() -> None:
    parsed = parse(pd.Series(["29.85", " ", "108.15", "1840.75"] * 10 + ["about 5"]))
    assert parsed.type == "number"
    assert parsed.values.isna().sum() == 11
    assert parsed.notes == ("11 of 41 values read as missing (' ', 'about 5')",)


def test_every_column_left_out_has_its_reason() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=ROWS)
    frame = table(
        row=np.arange(ROWS),
        customer_id=rng.integers(10**6, 10**9, ROWS),
        token=[f"t{value}" for value in rng.integers(0, 10**12, ROWS)],
        remark=[f"the customer said {value} and left" for value in rng.integers(0, 10**6, ROWS)],
        empty=[None] * ROWS,
        blank=[" "] * ROWS,
        same=["x"] * ROWS,
        numbers=numbers,
        copy=numbers,
        nested=[[1, 2]] * ROWS,
        seen=pd.date_range("2026-01-01", periods=ROWS, freq="h"),
        shop=[f"s{value}" for value in rng.integers(0, 60, ROWS)],
        gaps=np.where(rng.random(ROWS) < 0.5, 1.0, np.nan),
    )
    schema = detect(frame, spec())
    assert [field.name for field in schema.fields] == ["signal", "remark", "numbers", "seen", "shop", "gaps"]
    expected = {
        "y": "the target",
        "row": "numbers the rows",
        "customer_id": "identifies rows",
        "token": "identifies rows",
        "empty": "no value",
        "blank": "no value",
        "same": r"same value in every row (x)",
        "copy": "same values as 'numbers'",
        "nested": "lists or objects",
    }
    assert {name: reason for name, reason in schema.dropped.items() if expected[name] not in reason} == {}
    assert set(schema.dropped) == set(expected)


def test_roles_and_the_owners_choices_are_honoured() -> None:
    frame = table(
        who=["a", "b"] * 100,
        when=pd.date_range("2026-01-01", periods=ROWS),
        team=["x", "y"] * 100,
        row=np.arange(ROWS),
        code=["1", "2", "x", "4"] * 50,
    )
    schema = detect(frame, spec(id="who", time="when", group="team"))
    assert schema.dropped["who"] == "the row's id"
    assert schema.dropped["when"] == "the event time"
    assert schema.dropped["team"] == "the group that splits keep together"
    chosen = detect(frame, spec(features={"include": ["row", "code"], "numeric": ["code"]}))
    assert [(field.name, field.type) for field in chosen.fields] == [("row", "number"), ("code", "number")]
    assert chosen.dropped["signal"] == "not named in features.include"
    assert chosen.notes == ("code: 50 of 200 values read as missing ('x')",)
    assert detect(frame, spec(features={"exclude": ["signal"]})).dropped["signal"] == "left out by features.exclude"


def test_unknown_columns_are_told_all_at_once() -> None:
    wrong = spec(target="yy", features={"include": ["signl"], "categorical": ["nothing_alike"]})
    with pytest.raises(SpecError) as caught:
        detect(table(), wrong)
    assert len(caught.value.problems) == 3
    assert "did you mean 'signal'?" in str(caught.value)
    with pytest.raises(SpecError, match="holds no number"):
        detect(table(word=["a", "b"] * 100), spec(features={"numeric": ["word"]}))


def test_read_agrees_with_typed_on_what_a_caller_sends_back() -> None:
    """What the schema shows as examples must be readable by the server, which uses `typed` alone."""
    frame = table(
        total=["1.5", " ", "3"] * 66 + ["4", "5"],
        active=["true", "false"] * 100,
        seen=["2026-01-01", "2026-01-02T03:04:05Z"] * 100,
        plan=["basic", None] * 100,
    )
    schema = detect(frame, spec())
    rows = read(frame, schema.fields)
    assert rows.dtypes.astype(str).to_dict() == {
        "signal": "float64",
        "total": "float64",
        "active": "float64",
        "seen": "datetime64[ns, UTC]",
        "plan": "object",
    }
    sent = pd.DataFrame.from_records([{field.name: field.example for field in schema.fields}])
    pd.testing.assert_frame_equal(typed(sent, schema.fields), rows.head(1))
    assert {field.name: field.nullable for field in schema.fields} == {
        "signal": False,
        "total": True,
        "active": False,
        "seen": False,
        "plan": True,
    }


def test_real_tables(real_data: Path) -> None:
    telco = detect(pd.read_csv(real_data / "telco_churn.csv"), spec("Churn"))
    assert set(telco.dropped) == {"Unnamed: 0", "Customer ID", "Churn"}
    assert {field.name for field in telco.fields if field.type == "number"} == {
        "Age",
        "Tenure in Months",
        "Monthly Charge",
        "Total Charges",
    }
    hotel = detect(pd.read_csv(real_data / "hotel_rates.csv"), spec("avg_price_per_room", "regression"))
    assert set(hotel.dropped) == {"rownames", "avg_price_per_room"}
    assert [field.name for field in hotel.fields if field.type == "datetime"] == ["arrival_date"]
