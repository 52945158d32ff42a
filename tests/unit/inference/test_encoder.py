"""An encoding does what the feature plan does, bit for bit, for whatever a caller may send."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.features.plan import FeaturePlan, View, build_plan
from include.inference.dates import date_parts, date_parts_of, nanoseconds_of
from include.inference.encoder import FEW, Encoder
from include.inference.encoding import ENCODER_FILE, Encoding, identity
from include.inference.frames import mixed_frame
from include.specs import FactoryError
from include.specs.training import Features, Task
from include.store.packages import Field
from tests.unit.inference.tables import FIELDS, NUMBERS, mixed_rows, number_rows, strange_rows, targets

LARGEST = 3.4028234663852886e38
KNOWN_TEXTS = st.sampled_from(["a", "b", "a\0", "a\0b", "(missing)", "nan"])
ANY_TEXTS = st.text(st.characters(codec=None), max_size=6) | KNOWN_TEXTS
"""What JSON may hold: half of a surrogate pair, too."""
NUMBERS_OF_ROWS = st.floats(-LARGEST, LARGEST) | st.sampled_from([0.0, 1.0, 1 / 3, float("nan")])
TIMES = st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31)).map(lambda time: time.replace(tzinfo=UTC))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "number": NUMBERS_OF_ROWS,
    "boolean": st.sampled_from([0.0, 1.0, float("nan")]),
    "string": st.none() | ANY_TEXTS,
    "datetime": st.none() | TIMES,
}
TRAINING_VALUES = {**VALUES, "string": st.none() | st.text(max_size=6) | KNOWN_TEXTS}
"""Training rows come from files and databases, whose texts are UTF-8."""


def same(plan: FeaturePlan, fields: tuple[Field, ...], rows: list[tuple[Any, ...]]) -> None:
    """Hold both ways of an encoding against the plan's; the document is read back from its text first."""
    encoding = plan.encoding([field.name for field in fields])
    encoder = Encoder(Encoding.model_validate_json(encoding.model_dump_json()), fields)
    expected = plan.transform(mixed_frame(rows, fields))
    few = np.vstack([encoder.encode(rows[start : start + FEW]) for start in range(0, len(rows), FEW)])
    for found in (encoder.encode(rows), few, np.vstack([encoder.encode_one(row) for row in rows])):
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("view", ["trees", "scaled"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_outputs_are_those_of_the_plan(task: Task, view: View) -> None:
    rows = mixed_rows(300)
    plan = build_plan(FIELDS, Features(max_onehot=10), task, view)
    plan.fit(mixed_frame(rows, FIELDS), targets(rows, task))
    same(plan, FIELDS, mixed_rows(300, seed=1) + strange_rows())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_outputs_are_those_of_the_plan_for_any_columns_and_rows(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    fields = tuple(Field(name=f"c{index}", type=kind) for index, kind in enumerate(kinds))
    values, known = (st.tuples(*(of[kind] for kind in kinds)) for of in (VALUES, TRAINING_VALUES))
    training = data.draw(st.lists(known, min_size=4, max_size=30))
    as_categories = tuple(data.draw(st.sets(st.sampled_from([field.name for field in fields]))))
    features = Features(categorical=as_categories, max_onehot=data.draw(st.sampled_from([2, 20])))
    plan = build_plan(fields, features, "binary", data.draw(st.sampled_from(["trees", "scaled"])))
    with np.errstate(all="ignore"):
        plan.fit(mixed_frame(training, fields), np.arange(len(training)) % 2)
        same(plan, fields, training + data.draw(st.lists(values, max_size=10)))


@settings(max_examples=200, deadline=None)
@given(TIMES, st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))
def test_the_parts_of_one_time_are_those_of_many(time: datetime, offset: timedelta) -> None:
    from datetime import timezone

    expected = date_parts(np.array([nanoseconds_of(time)]).view("datetime64[ns]"))
    assert list(date_parts_of(time)) == expected[0].tolist()
    assert date_parts_of(time.astimezone(timezone(offset))) == date_parts_of(time)


def test_identity_leaves_numbers_and_gaps_as_they_are() -> None:
    rows = number_rows(50)
    encoding = identity(NUMBERS)
    assert encoding is not None
    encoder = Encoder(encoding, NUMBERS)
    np.testing.assert_array_equal(encoder.encode(rows), np.array(rows, dtype=np.float32))
    np.testing.assert_array_equal(np.vstack(list(map(encoder.encode_one, rows))), np.array(rows, dtype=np.float32))
    assert encoder.encode([]).shape == (0, len(NUMBERS))
    assert identity(FIELDS) is None


def test_no_rows_are_an_empty_matrix() -> None:
    rows = mixed_rows(100)
    plan = build_plan(FIELDS, Features(max_onehot=10), "binary", "scaled")
    plan.fit(mixed_frame(rows, FIELDS), targets(rows, "binary"))
    encoder = Encoder(plan.encoding([field.name for field in FIELDS]), FIELDS)
    assert encoder.encode([]).shape == (0, encoder.outputs) == (0, len(plan.get_feature_names_out()))


def test_a_document_of_other_columns_is_refused(tmp_path: Path) -> None:
    found = identity(NUMBERS)
    assert found is not None
    found.save(tmp_path)
    assert Encoding.load(tmp_path, NUMBERS) == found
    with pytest.raises(FactoryError, match="other columns"):
        Encoder.load(tmp_path, NUMBERS[::-1])
    document = json.loads((tmp_path / ENCODER_FILE).read_text())
    (tmp_path / ENCODER_FILE).write_text(json.dumps({**document, "version": 2}))
    with pytest.raises(FactoryError, match="cannot be read"):
        Encoder.load(tmp_path, NUMBERS)
