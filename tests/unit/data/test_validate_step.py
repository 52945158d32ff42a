from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.data.churn import simulate
from include.data.snapshot import take
from include.specs import FactoryError, ModelSpec, Platform, load_spec
from include.steps import validate
from include.steps.context import Outcome, StepContext
from include.store.artifacts import ArtifactStore
from include.store.runs import Result
from tests.unit.data.source_contract import frame, spec_of

BETWEEN = "expect_column_values_to_be_between"


@pytest.fixture
def validated(context: Any, platform: Platform) -> Callable[..., tuple[Outcome, StepContext]]:
    """Return a run of the step over a snapshot of ``rows``."""

    def run(
        rows: pd.DataFrame, spec: ModelSpec, name: str = "t", origin: str = "source"
    ) -> tuple[Outcome, StepContext]:
        taken = take(ArtifactStore.of(platform), spec.name, rows)
        given: StepContext = context(spec, "validate", run=f"automl_pipeline.{name}")
        values = {"path": taken.path, "digest": taken.digest, "origin": origin}
        given.folder.finish(
            Result(
                model=spec.name,
                pipeline=given.pipeline,
                run=given.run,
                step="snapshot",
                status="done",
                started="2025-01-01T00:00:00Z",
                ended="2025-01-01T00:00:00Z",
                values=values,
            ),
            given.work,
        )
        return validate.run(given), given

    return run


def declared(*expectations: tuple[str, dict[str, Any]], **quality: Any) -> ModelSpec:
    listed = [{"type": kind, "kwargs": kwargs} for kind, kwargs in expectations]
    return spec_of({"path": "x.csv"}, data={"quality": {"expectations": listed, **quality}})


def test_failing_rows_are_set_aside_with_the_reason(validated: Any) -> None:
    spec = declared(
        (BETWEEN, {"column": "count", "max_value": 97}),
        ("expect_column_values_to_not_match_regex", {"column": "key", "regex": "^k09[89]$"}),
    )
    outcome, context = validated(frame(100), spec)
    assert not outcome.rejected
    assert outcome.values | {"failed": None} == {
        "rows": 98,
        "quarantined": 2,
        "unlabelled": 0,
        "failed": None,
        "warnings": [],
        "docs": "data_docs/index.html",
    }
    assert outcome.values["failed"][0] == f"count: {BETWEEN} (2 rows, 2.0 %, such as 98, 99)"
    clean = pd.read_parquet(context.work / "clean.parquet")
    pd.testing.assert_frame_equal(clean, frame(100)[:98])
    aside = pd.read_parquet(context.work / "quarantine.parquet")
    assert aside["key"].tolist() == ["k098", "k099"]
    assert aside["quarantine_reason"].str.contains("expect_column_values_to_not_match_regex").all()


def test_too_many_failing_rows_reject_the_run(validated: Any) -> None:
    outcome, _ = validated(frame(100), declared((BETWEEN, {"column": "count", "max_value": 90})))
    assert outcome.rejected
    assert "9 of 100 rows (9.0%) failed, more than data.quality.max_quarantined (5.0%)" in outcome.message
    assert "count: expect_column_values_to_be_between" in outcome.message


def test_the_owner_may_want_rejection(validated: Any) -> None:
    spec = declared((BETWEEN, {"column": "count", "max_value": 98}), on_failure="reject")
    outcome, _ = validated(frame(100), spec)
    assert outcome.rejected
    assert "1 rows, 1.0 %, such as 99" in outcome.message


@pytest.mark.parametrize(
    ("kind", "kwargs", "seen"),
    [
        ("expect_table_row_count_to_be_between", {"min_value": 101}, "observed 100"),
        ("expect_column_mean_to_be_between", {"column": "count", "max_value": 40}, "observed 49.5"),
        (BETWEEN, {"column": "nowhere", "max_value": 98}, 'column "nowhere"'),
    ],
)
def test_where_no_row_can_be_set_aside_the_run_is_rejected(
    validated: Any, kind: str, kwargs: dict[str, Any], seen: str
) -> None:
    outcome, _ = validated(frame(100), declared((kind, kwargs)))
    assert outcome.rejected
    assert seen in outcome.message


def test_mostly_is_honoured(validated: Any) -> None:
    outcome, _ = validated(frame(100), declared((BETWEEN, {"column": "count", "max_value": 90, "mostly": 0.9})))
    assert (outcome.rejected, outcome.values["rows"], outcome.values["failed"]) == (False, 100, [])


def test_times_and_booleans_are_compared_as_such(validated: Any) -> None:
    rows = frame(100).assign(flag=pd.array([None, *[True] * 98, False], dtype="boolean"))
    spec = declared(
        (BETWEEN, {"column": "happened", "min_value": "2025-03-30T02:00:00+01:00"}),
        ("expect_column_values_to_be_in_set", {"column": "flag", "value_set": [True]}),
    )
    _, context = validated(rows, spec)
    aside = pd.read_parquet(context.work / "quarantine.parquet")
    assert aside["key"].tolist() == ["k000", "k099"]


def test_rows_without_a_target_are_set_aside_and_do_not_count(validated: Any) -> None:
    rows = frame(100).assign(target=np.where(np.arange(100) < 40, np.nan, np.arange(100) % 2))
    outcome, context = validated(rows, declared((BETWEEN, {"column": "count", "max_value": 98})))
    assert not outcome.rejected
    assert (outcome.values["rows"], outcome.values["unlabelled"], outcome.values["quarantined"]) == (59, 40, 1)
    reasons = pd.read_parquet(context.work / "quarantine.parquet")["quarantine_reason"]
    assert reasons.tolist()[0] == "no target"


def test_too_few_clean_rows_reject_the_run(validated: Any) -> None:
    outcome, _ = validated(frame(50), declared((BETWEEN, {"column": "count", "max_value": 48})))
    assert outcome.rejected
    assert "49 clean rows are left, fewer than data.min_rows (50)" in outcome.message


def test_arguments_that_great_expectations_refuses_are_an_error(validated: Any) -> None:
    with pytest.raises(FactoryError, match=r"count: expect_column_values_to_be_between cannot be used"):
        validated(frame(100), declared((BETWEEN, {"column": "count"})))


def test_the_suite_is_proposed_once_and_later_snapshots_are_held_against_it(validated: Any, platform: Platform) -> None:
    spec = declared()
    validated(frame(100), spec, "first")
    kept = ArtifactStore.of(platform).read_bytes("suites/demo/suite.json")
    outcome, _ = validated(frame(100).assign(Amount=1e6, text="new"), spec, "drifted")
    assert not outcome.rejected
    assert len(outcome.values["warnings"]) == 2
    outcome, _ = validated(frame(100).drop(columns="Amount"), spec, "without")
    assert outcome.rejected
    assert "Amount: expect_column_to_exist" in outcome.message
    outcome, _ = validated(frame(100).assign(count="many"), spec, "retyped")
    assert outcome.rejected
    assert "count: expect_column_values_to_be_in_type_list" in outcome.message
    assert ArtifactStore.of(platform).read_bytes("suites/demo/suite.json") == kept


def test_a_rejected_first_snapshot_proposes_nothing(validated: Any, platform: Platform) -> None:
    validated(frame(100), declared((BETWEEN, {"column": "count", "max_value": 9})))
    assert not ArtifactStore.of(platform).exists("suites/demo/suite.json")


def test_proposing_can_be_switched_off(validated: Any, platform: Platform) -> None:
    outcome, _ = validated(frame(100), declared(propose=False))
    assert outcome.values["rows"] == 100
    assert not ArtifactStore.of(platform).exists("suites/demo/suite.json")


def test_the_prediction_log_need_not_have_every_column(validated: Any) -> None:
    spec = declared((BETWEEN, {"column": "Amount", "max_value": 50}))
    validated(frame(100), spec, "first")
    outcome, context = validated(frame(100).drop(columns=["Amount", "text"]), spec, "log", origin="log")
    assert not outcome.rejected
    skipped = json.loads((context.work / "validation.json").read_text())["skipped"]
    assert f"Amount: {BETWEEN}" in skipped


def test_the_documented_shift_of_the_shipped_model_passes(validated: Any) -> None:
    """Drift is what retraining is for: it must not be taken for bad data."""
    spec = load_spec("churn")
    first, _ = validated(simulate(30, 26), spec, "first")
    assert (first.rejected, first.values["quarantined"], first.values["warnings"]) == (False, 0, [])
    drifted = simulate(60, 3).drop(columns=["referred"])
    outcome, _ = validated(drifted, spec, "drifted", origin="log")
    assert (outcome.rejected, outcome.values["rows"], outcome.values["quarantined"]) == (False, 1500, 0)


def test_the_page_is_one_file_that_fetches_nothing(validated: Any) -> None:
    _, context = validated(frame(100), declared((BETWEEN, {"column": "count", "max_value": 98})))
    page = (context.work / "data_docs/index.html").read_text()
    assert "count" in page
    assert "less than or equal to" in page
    assert not re.findall(r"<script|<link|<img|url\(\s*'?http", page)
    assert [file.name for file in Path(context.work / "data_docs").iterdir()] == ["index.html"]
