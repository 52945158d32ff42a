"""Dates as text beyond ISO 8601, from the table through the plan to a served row."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from include.features.parsing import parse
from include.features.plan import build_plan
from include.features.preparation import prepare_rows
from include.inference.encoder import Encoder
from include.serving.models.rows import RowError, RowReader
from include.serving.models.typed_rows import TypedReader
from include.specs import ModelSpec
from include.specs.training import Features
from include.store.packages import Field, typed

DAYS = pd.date_range("2024-01-01", periods=120, freq="53h", tz="UTC")
FORMATS = {
    "day first": "%d/%m/%Y",
    "month first": "%m/%d/%Y %I:%M %p",
    "year first": "%Y/%m/%d %H:%M",
    "month by name": "%b %d, %Y",
    "digits": "%Y%m%d",
}


def spec(**features: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "demo",
            "owner": "me",
            "data": {"source": {"type": "csv", "path": "demo.csv"}},
            "problem": {"type": "binary", "target": "y"},
            "features": features,
        }
    )


def table(texts: Any) -> pd.DataFrame:
    return pd.DataFrame({"when": texts, "x": np.arange(120) % 7, "y": np.arange(120) % 2})


def field_of(frame: pd.DataFrame, **features: Any) -> tuple[Field, tuple[str, ...]]:
    done = prepare_rows(frame, spec(**features), False)
    return next(field for field in done.prepared.fields if field.name == "when"), done.schema.notes


@pytest.mark.parametrize(("writing", "format_"), FORMATS.items())
def test_a_date_is_the_same_in_training_and_when_served(writing: str, format_: str) -> None:
    texts = DAYS.strftime(format_).tolist()
    texts[5], texts[9] = None, texts[9]
    done = prepare_rows(table(texts), spec(), False)
    field = next(field for field in done.prepared.fields if field.name == "when")
    assert (field.type, field.writing) == ("datetime", writing)
    assert any(note.startswith("when: dates written as") for note in done.schema.notes)
    fields, train = done.prepared.fields, done.prepared.train
    plan = build_plan(fields, Features(), "binary", "trees")
    pipeline = Pipeline([("features", plan), ("model", LogisticRegression())]).fit(train, done.prepared.train_target)
    encoder = Encoder(pipeline[0].encoding([one.name for one in fields]), fields)
    reader = RowReader([Field.model_validate_json(one.model_dump_json()) for one in fields])
    quick = TypedReader(reader, reader.known)
    asked = [{"when": text, "x": 3.0} for text in [*texts[:20], "soon", "", "2024-02-03T10:00:00+02:00", None]]
    rows = [reader.read(one, reader.known) for one in asked]
    assert [quick.read(msgspec.Raw(json.dumps(one).encode())) for one in asked] == rows
    assert rows[20][0] is rows[21][0] is rows[23][0] is None and rows[22][0] is not None
    expected = pipeline[0].transform(typed(pd.DataFrame.from_records(asked), fields))
    np.testing.assert_array_equal(encoder.encode(rows), expected)
    np.testing.assert_array_equal(np.vstack([encoder.encode_one(row) for row in rows]), expected)
    whole = pd.to_datetime(pd.Series(texts), format=format_, utc=True)
    read = parse(pd.Series(texts)).values.to_numpy("datetime64[ns]")
    np.testing.assert_array_equal(read, whole.to_numpy("datetime64[ns]"))
    with pytest.raises(RowError, match="1 problems"):
        reader.read({"when": [1], "x": 1}, reader.known)


def test_days_that_could_be_months_come_first_and_the_report_says_so() -> None:
    texts = [f"{1 + number % 12:02}/{1 + number // 12:02}/2024" for number in range(120)]
    field, notes = field_of(table(texts))
    assert field.writing == "day first"
    assert any("no value tells day from month" in note for note in notes)
    assert pd.Timestamp(field.example).day == 1


def test_numbers_are_dates_only_where_nothing_else_is_likely() -> None:
    whole = DAYS.strftime("%Y%m%d").astype(int)
    field, _ = field_of(table(whole))
    assert (field.type, field.writing) == ("datetime", "digits")
    reader = RowReader([field])
    assert reader.read({"when": 20240203}, reader.known) == reader.read({"when": "2024-02-03"}, reader.known)
    assert reader.read({"when": 20240299}, reader.known) == (None,)
    gaps = pd.Series(whole).astype(float).where(np.arange(120) % 5 != 0)
    assert field_of(table(gaps))[0].type == "datetime"
    assert field_of(table(whole), numeric=["when"])[0].type == "number"
    assert field_of(table(whole), categorical=["when"])[0].type == "number"
    for numbers in (
        20_000_000 + np.arange(120) * 7919,
        DAYS.as_unit("s").asi8,
        np.where(np.arange(120) < 3, 20249999, whole),
    ):
        assert field_of(table(numbers))[0].type == "number"


def test_a_few_that_cannot_be_read_are_missing_and_many_make_it_text() -> None:
    texts = DAYS.strftime("%d.%m.%Y").tolist()
    field, notes = field_of(table([*texts[:116], "soon", "later", "31.02.2024", "never"]))
    assert field.type == "datetime" and field.nullable
    assert any("4 of 120 values read as missing" in note for note in notes)
    assert parse(pd.Series([*texts[:100], *["soon"] * 20])).type == "string"


def test_an_event_time_may_be_written_so_too() -> None:
    from include.data.frames import to_times

    texts = pd.Series(DAYS.strftime("%d/%m/%Y"))
    assert (to_times(texts).dt.normalize() == DAYS.normalize()).all()
    model = spec().model_copy(update={"data": spec().data.model_copy(update={"time": "when"})})
    done = prepare_rows(table(texts).sample(frac=1, random_state=0), model, False)
    assert done.prepared.ordered and "by time" in done.split.how
