"""The replayed traffic: the same at each call, no row twice, real rows only, quiet before it drifts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.features.prepared import Prepared
from include.local.traffic import DRIFT_WEEKS, QUIET_WEEKS, ROLLOUT_WEEK, ChurnTraffic, HeldOutTraffic, traffic_for
from include.specs import Platform, load_spec, parse_spec
from include.store.artifacts import ArtifactStore
from include.store.packages import Field
from include.store.runs import Result, RunFolder

RUN = "automl_pipeline.r"


def result(step: str, **values: object) -> Result:
    now = datetime.now(UTC)
    common = {
        "model": "telco",
        "pipeline": "automl_pipeline",
        "run": RUN,
        "status": "done",
        "started": now,
        "ended": now,
    }
    return Result(step=step, values=values, **common)


@pytest.fixture
def held_out(platform: Platform, tmp_path: Path) -> HeldOutTraffic:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"fee": rng.normal(50, 10, 800), "plan": rng.choice(["a", "b"], 800), "auto": 1.0})
    rows.loc[0, "fee"] = np.nan
    fields = (
        Field(name="fee", type="number"),
        Field(name="plan", type="string"),
        Field(name="auto", type="boolean"),
    )
    target = rng.integers(0, 2, 800)
    prepared = Prepared("binary", fields, ("no", "yes"), rows, target, rows, target, None, False)
    folder = RunFolder(ArtifactStore.of(platform), "telco", RUN)
    work = tmp_path / "prepare"
    prepared.save(work / "prepared")
    folder.finish(result("prepare"), work)
    folder.store.write_bytes(folder.path("evaluate", "importance.json"), b'[{"feature":"plan"},{"feature":"fee"}]')
    folder.finish(result("snapshot", last_event="2026-03-04T10:00:00+00:00"), tmp_path / "work")
    spec = parse_spec(
        "name: telco\nowner: me\ndata: {source: {path: x.csv}}\nproblem: {type: binary, target: y}", "telco.yaml"
    )
    traffic = traffic_for(spec, platform, result("register"))
    assert isinstance(traffic, HeldOutTraffic)
    return traffic


@pytest.fixture(autouse=True)
def _work(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir(exist_ok=True)


def test_held_out_rows_come_once_and_as_a_caller_would_send_them(held_out: HeldOutTraffic) -> None:
    requests = [request for week in range(ROLLOUT_WEEK + 1) for request in held_out.week(week)]
    fees = [r.features["fee"] for r in requests if r.features["fee"] is not None]
    assert len(fees) == len(set(fees))
    assert {type(r.features["auto"]) for r in requests} == {bool}
    assert {r.label for r in requests} == {"no", "yes"}
    assert len({r.id for r in requests}) == len(requests)
    assert [r.event_time for r in requests] == sorted(r.event_time for r in requests)
    assert requests[0].event_time == datetime(2026, 3, 9, tzinfo=UTC)


def test_the_drifted_weeks_hold_high_values_of_the_most_important_number(held_out: HeldOutTraffic) -> None:
    quiet = [r.features["fee"] for week in range(QUIET_WEEKS) for r in held_out.week(week) if r.features["fee"]]
    drifted = [r.features["fee"] for r in held_out.week(QUIET_WEEKS)]
    assert min(drifted) > np.quantile(quiet, 0.25)
    assert "fee >=" in held_out.story
    assert held_out.week(QUIET_WEEKS) == held_out.week(QUIET_WEEKS)


def test_churn_goes_on_where_its_history_ends() -> None:
    traffic = ChurnTraffic(load_spec("churn"))
    first, drifted = traffic.week(0), traffic.week(QUIET_WEEKS)
    epoch = datetime(2025, 1, 6, tzinfo=UTC)
    assert epoch + timedelta(weeks=56) <= first[0].event_time < epoch + timedelta(weeks=57)
    assert epoch + timedelta(weeks=60) <= drifted[0].event_time
    assert "churned" not in first[0].features
    assert traffic.week(1) == traffic.week(1)
    assert load_spec("churn").retraining.k <= DRIFT_WEEKS
