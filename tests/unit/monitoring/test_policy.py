"""The retraining policy: k of n, cooldown, open requests, and what a new champion forgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.monitoring.policy import decide, failures_in_a_row
from include.specs.operation import Retraining
from include.store.signals import RetrainingRequest, Window

MONDAY, WEEK = datetime(2026, 3, 2, tzinfo=UTC), timedelta(days=7)
POLICY = Retraining(k=2, n=3)


def windows(*signals: str, version: str = "1", first: int = 0, judged: bool = True) -> list[Window]:
    """Return one window for each of ``signals``: "" is quiet, "drift quality" raised two."""
    return [
        Window(
            "m",
            MONDAY + (first + i) * WEEK,
            MONDAY + (first + i + 1) * WEEK,
            version,
            400,
            text.split(),
            {"judged": judged, "drifted": ["fee"] if "drift" in text else []},
            "run",
            MONDAY,
        )
        for i, text in enumerate(signals)
    ]


def request(week: int, outcome: str | None, number: int = 1) -> RetrainingRequest:
    return RetrainingRequest(number, "m", MONDAY + week * WEEK, "", {}, MONDAY, None, outcome)


@pytest.mark.parametrize(
    ("signals", "retrain"),
    [
        ((), False),
        (("", "", ""), False),
        (("", "", "drift"), False),
        (("drift", "", "drift"), True),
        (("drift", "degradation"), True),
        (("drift", "drift", "", ""), False),
        (("drift", "drift", ""), True),
        (("quality", "quality", "quality"), False),
        (("drift quality", "drift quality"), True),
    ],
)
def test_k_of_the_last_n_windows(signals, retrain):
    decision = decide(windows(*signals), [], "1", POLICY)
    assert decision.retrain is retrain
    assert decision.reason


def test_one_signal_suffices_where_the_spec_says_so():
    assert decide(windows("", "degradation"), [], "1", Retraining(k=1, n=1)).retrain
    assert not decide(windows("degradation", ""), [], "1", Retraining(k=1, n=1)).retrain


def test_a_request_is_known_by_the_latest_signal_and_says_where_drift_began():
    decision = decide(windows("", "drift", "", "drift"), [], "1", POLICY)
    assert decision.window_start == MONDAY + 3 * WEEK
    evidence = decision.evidence()
    assert evidence["began"] == (MONDAY + WEEK).isoformat()
    assert len(evidence["windows"]) == 3
    assert evidence["drifted"] == ["fee"]


def test_windows_of_an_earlier_champion_do_not_count():
    old = windows("drift", "drift", "drift", version="1")
    assert not decide(old, [], "2", POLICY).retrain
    assert not decide([*old, *windows("drift", version="2", first=3)], [], "2", POLICY).retrain
    assert decide([*old, *windows("drift", "drift", version="2", first=3)], [], "2", POLICY).retrain


def test_windows_without_a_verdict_are_passed_over():
    seen = [*windows("drift"), *windows("", "", "", first=1, judged=False), *windows("drift", first=4)]
    decision = decide(seen, [], "1", POLICY)
    assert decision.retrain
    assert len(decision.counted) == 2


def test_an_open_request_is_not_doubled():
    decision = decide(windows("drift", "drift", "drift"), [request(1, None)], "1", POLICY)
    assert not decision.retrain
    assert "still open" in decision.reason


def test_the_same_windows_do_not_ask_twice():
    seen = windows("drift", "drift")
    assert not decide(seen, [request(1, "rejected")], "1", POLICY).retrain
    assert decide([*seen, *windows("drift", first=2)], [request(1, "rejected")], "1", POLICY).retrain


def test_the_cooldown_is_counted_in_event_time():
    policy = Retraining(k=2, n=3, cooldown="4w")
    closed = [request(1, "registered")]
    early = decide(windows("drift", "drift", "drift", first=2), closed, "1", policy)
    assert not early.retrain
    assert "4w" in early.reason
    assert decide(windows("drift", "drift", "drift", first=3), closed, "1", policy).retrain


def test_a_policy_that_is_switched_off_says_so():
    decision = decide(windows("drift", "drift"), [], "1", Retraining(enabled=False))
    assert not decision.retrain
    assert "switched off" in decision.reason


@pytest.mark.parametrize(
    ("outcomes", "failures"),
    [
        ([], 0),
        (["registered"], 0),
        (["rejected", "registered"], 0),
        (["registered", "rejected", "failed"], 2),
        (["failed", "failed", "failed"], 3),
        (["failed", None], 1),
    ],
)
def test_failures_are_counted_back_to_the_last_success(outcomes, failures):
    requests = [request(i, outcome, number=i) for i, outcome in enumerate(outcomes)]
    assert failures_in_a_row(requests) == failures
