"""Rows of the log as samples: whatever a caller sent becomes typed columns, and the truth becomes codes."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from include.monitoring.sample import Reference, ReferenceMissingError, readable, thinned
from include.store.artifacts import ArtifactStore
from include.store.packages import Field

FIELDS = (
    Field(name="fee", type="number"),
    Field(name="plan", type="string"),
    Field(name="member", type="boolean"),
    Field(name="since", type="datetime"),
)
ROW = {"fee": 9.5, "plan": "basic", "member": True, "since": "2026-01-02T03:04:05Z"}


def log(rows: list[dict], outputs: list[dict], labels: list) -> pd.DataFrame:
    return pd.DataFrame({"features": rows, "output": outputs, "label": pd.Series(labels, dtype=object)})


def reference(task: str, classes: tuple | None, world) -> Reference:
    return Reference(task, FIELDS, classes, world.reference.train, world.reference.held_out)


def test_healthy_rows_are_typed():
    frame, invalid = readable([ROW, ROW | {"extra": 1}], FIELDS)
    assert invalid == {}
    assert list(frame.columns) == ["fee", "plan", "member", "since"]
    assert frame["member"].tolist() == [1.0, 1.0]
    assert frame["since"].iloc[0].to_pydatetime() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_left_out_columns_are_missing_and_unreadable_values_are_counted():
    rows = [
        ROW,
        {"plan": "plus"},
        ROW | {"fee": "a lot", "since": "yesterday"},
        ROW | {"fee": [1]},
        ROW | {"fee": None},
    ]
    frame, invalid = readable(rows, FIELDS)
    assert invalid == {"fee": 2, "since": 1}
    assert frame["fee"].isna().tolist() == [False, True, True, True, True]
    assert frame["since"].notna().tolist() == [True, False, False, True, True]
    assert frame["plan"].tolist() == ["basic", "plus", "basic", "basic", "basic"]


@pytest.mark.parametrize("label", [1, "1", 1.0, True])
def test_a_label_is_known_in_every_spelling(world, label):
    output = {"label": 1, "probabilities": {"0": 0.3, "1": 0.7}}
    sample = reference("binary", (0, 1), world).sample(log([ROW, ROW], [output, output], [label, None]))
    assert sample.outputs.tolist() == [0.7, 0.7]
    assert sample.target[0] == 1
    assert np.isnan(sample.target[1])
    assert [len(part) for part in sample.labelled()] == [1, 1]


def test_a_label_that_the_model_does_not_know_is_no_truth(world):
    output = {"label": "a", "probabilities": {"a": 0.5, "b": 0.2, "c": 0.3}}
    sample = reference("multiclass", ("a", "b", "c"), world).sample(
        log([ROW] * 3, [output, output, {"label": "a"}], ["c", "z", "a"])
    )
    assert sample.outputs.shape == (3, 3)
    target, outputs = sample.labelled()
    assert target.tolist() == [2]
    assert outputs.tolist() == [[0.5, 0.2, 0.3]]


def test_values_of_a_regression_are_read_as_numbers(world):
    sample = reference("regression", None, world).sample(
        log([ROW] * 3, [{"label": 2.5}, {"label": 3.0}, {}], [2, "?", 1])
    )
    target, outputs = sample.labelled()
    assert (target.tolist(), outputs.tolist()) == ([2.0], [2.5])


def test_a_lost_run_folder_is_told_with_what_to_do(tmp_path):
    with pytest.raises(ReferenceMissingError, match="train the model again"):
        Reference.load(ArtifactStore(tmp_path.as_uri()), "churn", "automl_pipeline.lost")


def test_thinning_is_repeatable_and_leaves_few_rows_alone():
    frame = pd.DataFrame({"x": range(100)})
    assert thinned(frame, 200) is frame
    assert thinned(frame, 10).equals(thinned(frame, 10))
    assert len(thinned(frame, 10)) == 10
