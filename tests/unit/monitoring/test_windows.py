"""Which windows are looked at: alignment, completeness, late rows, late labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.monitoring.windows import Due, due_windows, judged_version, window_label, window_start
from include.store.prediction_log import Label, Prediction, PredictionLog
from include.store.signals import SignalStore, Window

WEEK = timedelta(days=7)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(week: int, day: float = 0.0) -> datetime:
    return MONDAY + week * WEEK + timedelta(days=day)


class Log:
    """A prediction log of model ``m`` and its signals, filled by hand."""

    def __init__(self, platform) -> None:
        self.log, self.signals, self.count = PredictionLog(platform), SignalStore(platform), 0

    def add(self, moment: datetime, rows: int = 1, version: str = "1", labelled: bool = False) -> None:
        ids = [f"{self.count + i}" for i in range(rows)]
        self.count += rows
        self.log.append([Prediction(i, "m", version, "champion", moment, moment, {}, {"label": 0}, 1.0) for i in ids])
        if labelled:
            self.label(ids)

    def label(self, ids: list[str]) -> None:
        self.log.append_labels(Label(i, "m", 1, MONDAY) for i in ids)

    def due(self, as_of: datetime | None = None, run: str = "r1", champion: str = "1") -> list[Due]:
        return due_windows(self.log, self.signals.windows("m"), "m", run, champion, WEEK, 20, as_of)

    def analyse(self, run: str = "r1", as_of: datetime | None = None) -> None:
        for due in self.due(as_of, run):
            evidence = {"labelled": due.labelled}
            self.signals.record(
                Window("m", due.start, due.end, due.version, due.rows, [], evidence, run, datetime.now(UTC))
            )


@pytest.fixture
def log(platform) -> Log:
    return Log(platform)


@pytest.mark.parametrize(
    ("moment", "length", "start"),
    [
        (datetime(1970, 1, 5, tzinfo=UTC), WEEK, datetime(1970, 1, 5, tzinfo=UTC)),
        (datetime(2026, 3, 8, 23, 59, 59, tzinfo=UTC), WEEK, MONDAY),
        (datetime(2026, 3, 9, tzinfo=UTC), WEEK, datetime(2026, 3, 9, tzinfo=UTC)),
        (datetime(2026, 3, 2, 5, 40, tzinfo=UTC), timedelta(hours=1), datetime(2026, 3, 2, 5, tzinfo=UTC)),
        (datetime(1969, 12, 31, tzinfo=UTC), WEEK, datetime(1969, 12, 29, tzinfo=UTC)),
    ],
)
def test_windows_are_aligned_to_mondays(moment, length, start):
    assert window_start(moment, length) == start


def test_folders_of_windows_have_names_of_their_own():
    assert window_label(MONDAY, WEEK) == "2026-03-02"
    hours = [window_label(MONDAY + timedelta(hours=i), timedelta(hours=1)) for i in range(24)]
    assert len(set(hours)) == 24


def test_the_last_window_is_open_until_a_later_event(log):
    log.add(at(0, 1))
    log.add(at(1, 6.9))
    assert [due.start for due in log.due()] == [at(0)]
    log.add(at(2))
    assert [due.start for due in log.due()] == [at(0), at(1)]


def test_as_of_completes_a_window_and_keeps_later_ones_out(log):
    for week in range(3):
        log.add(at(week, 3))
    assert [due.start for due in log.due(as_of=at(2))] == [at(0), at(1)]
    assert [due.start for due in log.due(as_of=at(2) - timedelta(seconds=1))] == [at(0)]
    assert len(log.due(as_of=at(400))) == 3


def test_windows_without_rows_are_passed_over(log):
    log.add(at(0))
    log.add(at(9))
    log.add(at(10))
    assert [due.start for due in log.due()] == [at(0), at(9)]


def test_no_predictions_no_windows(log):
    assert log.due() == []
    assert log.due(as_of=at(5)) == []


def test_history_beyond_the_lookback_is_left_alone(log):
    log.add(at(0))
    log.add(at(60))
    log.add(at(61))
    assert [due.start for due in log.due()] == [at(60)]


def test_a_window_is_analysed_once_but_again_by_a_retry_of_its_run(log):
    log.add(at(0), 30)
    log.add(at(1))
    log.analyse("r1")
    assert log.due(run="r2") == []
    assert [due.start for due in log.due(run="r1")] == [at(0)]


def test_late_rows_reopen_a_window_only_where_they_make_a_verdict_possible(log):
    log.add(at(0), 10)
    log.add(at(1), 30)
    log.add(at(2))
    log.analyse("r1")
    log.add(at(1, 1), 30)
    assert log.due(run="r2") == []
    log.add(at(0, 1), 10)
    assert [(due.start, due.rows) for due in log.due(run="r2")] == [(at(0), 20)]


def test_late_labels_reopen_a_window_once(log):
    log.add(at(0), 30)
    log.add(at(1))
    log.analyse("r1")
    log.label([str(i) for i in range(19)])
    assert log.due(run="r2") == []
    log.label([str(i) for i in range(25)])
    assert [(due.start, due.labelled) for due in log.due(run="r2")] == [(at(0), 25)]
    log.analyse("r2")
    log.label([str(i) for i in range(30)])
    assert log.due(run="r3") == []


def test_a_window_of_two_versions_is_judged_by_the_champion(log):
    log.add(at(0), 60, version="1")
    log.add(at(0, 5), 25, version="2")
    log.add(at(1), 50, version="1")
    log.add(at(1, 6), 10, version="2")
    log.add(at(2))
    assert [(due.version, due.rows) for due in log.due(champion="2")] == [("2", 25), ("1", 50)]
    assert log.due(champion="2")[0].versions == {"1": 60, "2": 25}


def test_the_version_that_answered_most_stands_in_for_an_absent_champion():
    assert judged_version({"1": (10, 0), "2": (30, 0)}, "3", 20) == "2"
    assert judged_version({"1": (30, 0), "2": (30, 0)}, "3", 20) == "2"
