from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.data.frames import kinds
from include.data.selection import Selection, select
from include.specs import ModelSpec, Platform, SpecError
from include.specs.params import TrainingParams
from include.store.prediction_log import Label, Prediction, PredictionLog
from tests.unit.data.source_contract import START, frame, spec_of

LOG_START = START + timedelta(days=10)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Return a maker of specs over the contract's rows: 60 hours from START, shuffled."""
    frame().sample(frac=1, random_state=1).to_parquet(tmp_path / "x.parquet")

    def spec(time: str | None = "happened", retraining: dict[str, Any] | None = None, **data: Any) -> ModelSpec:
        options = {"min_rows": 10, **data}
        return spec_of({"path": str(tmp_path / "x.parquet")}, time, data=options, retraining=retraining or {})

    return spec


def log(platform: Platform, hours: Sequence[int], labelled: int | None = None, **extra: Any) -> None:
    """Log a prediction an hour from LOG_START on, and label the first ``labelled``."""
    writer = PredictionLog(platform)
    writer.append(
        [
            Prediction(
                id=f"p{hour:03d}",
                model="demo",
                version="1",
                variant="champion",
                event_time=LOG_START + timedelta(hours=hour),
                served_at=LOG_START,
                features={"count": 1000 + hour, "Amount": None, "flag": True, "text": "served", **extra},
                output={"label": 0},
                latency_ms=1.0,
            )
            for hour in hours
        ]
    )
    kept = list(hours)[: len(hours) if labelled is None else labelled]
    writer.append_labels(Label(f"p{hour:03d}", "demo", hour % 2, LOG_START) for hour in kept)


def training(spec: ModelSpec, platform: Platform, **params: Any) -> Selection:
    return select(spec, platform, "automl_pipeline", TrainingParams.model_validate(params))


def retraining(spec: ModelSpec, platform: Platform, **params: Any) -> Selection:
    return select(spec, platform, "model_retraining", TrainingParams.model_validate(params))


def test_training_reads_the_source_in_the_order_of_time(make: Any, platform: Platform) -> None:
    found = training(make(), platform)
    assert found.frame["count"].tolist() == list(range(60))
    assert (found.origin, found.ordered, found.note) == ("source", True, "")
    assert (found.first_event, found.last_event) == (START, START + timedelta(hours=59))


def test_rows_of_one_moment_are_ordered_by_id(tmp_path: Path, platform: Platform) -> None:
    frame().assign(happened=START).iloc[::-1].to_parquet(tmp_path / "x.parquet")
    found = training(spec_of({"path": str(tmp_path / "x.parquet")}), platform)
    assert found.frame["key"].is_monotonic_increasing


def test_without_a_time_the_source_keeps_its_order(make: Any, platform: Platform) -> None:
    found = training(make(time=None), platform)
    assert found.frame["count"].tolist() == frame().sample(frac=1, random_state=1)["count"].tolist()
    assert (found.ordered, found.last_event) == (False, None)


def test_the_window_counts_back_from_the_latest_event(make: Any, platform: Platform) -> None:
    found = training(make(window="10h"), platform)
    assert found.frame["count"].tolist() == list(range(49, 60))


def test_the_trigger_form_wins_over_the_spec(make: Any, platform: Platform) -> None:
    start, end = START + timedelta(hours=5), START + timedelta(hours=20)
    spec = make(window="10h")
    assert training(spec, platform, data_start=start, data_end=end).frame["count"].tolist() == list(range(5, 20))
    assert training(spec, platform, data_end=end).frame["count"].tolist() == list(range(10, 20))


def test_a_window_that_cannot_be_is_refused(make: Any, platform: Platform) -> None:
    with pytest.raises(SpecError, match=r"is not before"):
        training(make(), platform, data_start=START, data_end=START)
    with pytest.raises(SpecError, match=r"data\.time"):
        training(make(time=None), platform, data_start=START)


def test_retraining_on_the_log(make: Any, platform: Platform) -> None:
    log(platform, range(30), labelled=20)
    found = retraining(make(retraining={"data": "log"}), platform)
    assert found.origin == "log"
    assert found.frame["count"].tolist() == list(range(1000, 1020))
    assert found.frame["target"].tolist() == [hour % 2 for hour in range(20)]
    assert found.frame["happened"].tolist() == [LOG_START + timedelta(hours=hour) for hour in range(20)]
    assert found.frame["key"].tolist() == [f"p{hour:03d}" for hour in range(20)]


def test_retraining_cuts_its_own_window(make: Any, platform: Platform) -> None:
    log(platform, range(50))
    found = retraining(make(window="5h", retraining={"data": "log", "window": "20h"}), platform)
    assert found.frame["count"].tolist() == list(range(1029, 1050))


def test_a_window_with_too_few_rows_gives_way_and_says_so(make: Any, platform: Platform) -> None:
    log(platform, range(50))
    found = retraining(make(retraining={"data": "log", "window": "5h"}), platform)
    assert len(found.frame) == 50
    assert "only 6 rows since 2025-04-10 20:00" in found.note
    assert "data.min_rows (10)" in found.note


def test_a_window_that_a_person_asked_for_does_not_give_way(make: Any, platform: Platform) -> None:
    log(platform, range(50))
    with pytest.raises(SpecError, match=r"holds 5 rows"):
        retraining(make(retraining={"data": "log"}), platform, data_start=LOG_START + timedelta(hours=45))


def test_retraining_on_both_has_the_columns_of_the_source(make: Any, platform: Platform) -> None:
    log(platform, range(30))
    found = retraining(make(retraining={"data": "both"}), platform)
    assert found.frame["count"].tolist() == [*range(60), *range(1000, 1030)]
    assert kinds(found.frame) == kinds(frame())
    assert found.first_event == START
    windowed = retraining(make(retraining={"data": "both", "window": "11d"}), platform)
    assert windowed.frame["count"].tolist() == [*range(5, 60), *range(1000, 1030)]


def test_both_keep_to_what_was_served_and_take_a_row_once(make: Any, platform: Platform) -> None:
    log(platform, range(30))
    known = json.loads(frame().drop(columns=["happened"]).iloc[[3]].to_json(orient="records"))[0]
    target = known.pop("target")
    writer = PredictionLog(platform)
    served = LOG_START + timedelta(hours=40)
    features = {name: value for name, value in known.items() if name in ("count", "Amount", "flag", "text")}
    writer.append([Prediction("known", "demo", "1", "champion", served, served, features, {"label": 0}, 1.0)])
    writer.append_labels([Label("known", "demo", target, served)])
    found = retraining(make(retraining={"data": "both"}), platform).frame
    assert found["count"].tolist().count(known["count"]) == 1
    assert found["count"].tolist()[-1] == known["count"], "the log's row stands, with its time"
    assert set(found.columns) - {"happened", "target", "key"} <= set(features), "no column that tells log from source"


def test_a_column_that_callers_mostly_leave_out_does_not_tell_log_from_source(make: Any, platform: Platform) -> None:
    log(platform, range(30))
    writer, features = PredictionLog(platform), {"count": 1, "Amount": None, "flag": True}
    for number in range(40):
        at = LOG_START + timedelta(hours=50, minutes=number)
        writer.append([Prediction(f"q{number}", "demo", "1", "champion", at, at, features, {"label": 0}, 1.0)])
        writer.append_labels([Label(f"q{number}", "demo", 0, at)])
    assert "text" not in retraining(make(retraining={"data": "both"}), platform).frame
    assert "text" in retraining(make(retraining={"data": "log"}), platform).frame


def test_rows_without_a_time_are_older_than_any_window(make: Any, platform: Platform) -> None:
    log(platform, range(30))
    spec = make(time=None, retraining={"data": "both"})
    found = retraining(spec, platform)
    assert not found.ordered, "rows without a time have no place in the order"
    assert found.frame["count"][:60].tolist() == list(range(60))
    assert found.frame["count"][60:].tolist() == list(range(1000, 1030))
    assert retraining(spec, platform).frame.equals(found.frame)
    windowed = retraining(make(time=None, retraining={"data": "both", "window": "20h"}), platform)
    assert windowed.frame["count"].tolist() == list(range(1009, 1030))
    assert windowed.ordered


def test_retraining_on_the_source_alone(make: Any, platform: Platform) -> None:
    found = retraining(make(retraining={"data": "source", "window": "20h"}), platform)
    assert found.frame["count"].tolist() == list(range(39, 60))
    assert not retraining(make(time=None, retraining={"data": "source"}), platform).ordered


def test_what_callers_sent_takes_the_kinds_of_the_source(make: Any, platform: Platform) -> None:
    log(platform, range(20), flag=1, Amount="2.5")
    found = retraining(make(retraining={"data": "both"}), platform).frame
    assert kinds(found) == kinds(frame())
    assert found["flag"][60:].all()
    assert set(found["Amount"][60:]) == {2.5}


def test_without_labels_there_is_nothing_to_learn_from(make: Any, platform: Platform) -> None:
    log(platform, range(20), labelled=0)
    with pytest.raises(SpecError, match=r"retraining\.data: .*no labelled predictions.*/v1/models/demo/feedback"):
        retraining(make(retraining={"data": "log"}), platform)
