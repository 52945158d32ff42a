"""Probes are held-out rows as a caller would send them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from include.features.prepared import Prepared
from include.release.rows import held_out_rows, probe_rows
from include.store.artifacts import ArtifactError
from include.store.packages import Field, Manifest, typed

FIELDS = (
    Field(name="age", type="number", example=30),
    Field(name="vip", type="boolean", example=True),
    Field(name="plan", type="string", example="basic"),
    Field(name="seen", type="datetime", example="2026-01-01T00:00:00+00:00"),
)


@pytest.fixture
def prepared(tmp_path):
    frame = pd.DataFrame(
        {
            "age": [1.5, None, 3.0],
            "vip": [True, None, False],
            "plan": ["a", None, "c"],
            "seen": [pd.Timestamp("2026-01-02", tz="UTC"), None, pd.Timestamp("2026-01-03", tz="UTC")],
        }
    )
    rows = typed(frame, FIELDS)
    Prepared("regression", FIELDS, None, rows, np.zeros(3), rows, np.zeros(3)).save(tmp_path)
    return tmp_path


def test_rows_are_json_ready_and_complete(prepared):
    rows = sorted(held_out_rows(prepared), key=lambda row: row["age"] or 0)
    assert rows == [
        {"age": None, "vip": None, "plan": None, "seen": None},
        {"age": 1.5, "vip": True, "plan": "a", "seen": "2026-01-02T00:00:00+00:00"},
        {"age": 3.0, "vip": False, "plan": "c", "seen": "2026-01-03T00:00:00+00:00"},
    ]
    json.dumps(rows, allow_nan=False)
    assert {type(row["vip"]) for row in rows[1:]} == {bool}


def test_no_more_than_asked_for(prepared):
    assert len(held_out_rows(prepared, count=2)) == 2


def test_the_example_stands_in_for_rows_that_are_gone(tmp_path):
    manifest = Manifest(
        model="m", task="regression", target="y", features=FIELDS, algorithm="linear", run="r",
        trained_at=datetime.now(UTC),
    )  # fmt: skip
    (tmp_path / "factory.json").write_text(manifest.model_dump_json())

    def locate(task, artifact):
        if task == "prepare":
            raise ArtifactError("gone")
        assert (task, artifact) == ("search", "package/factory.json")
        return tmp_path / "factory.json"

    assert probe_rows(locate) == [{"age": 30, "vip": True, "plan": "basic", "seen": "2026-01-01T00:00:00+00:00"}]
