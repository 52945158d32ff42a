"""Every gate says no when it must, and keeps what it rests on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from include.automl.bench import outputs_of
from include.evaluation.gate_page import gate_page
from include.evaluation.gates import (
    Gate,
    GateReport,
    champion_gate,
    champion_scored,
    drift_gate,
    limit_gate,
    quality_gate,
    threshold_gates,
)
from include.evaluation.intervals import Scored
from include.features.prepared import Prepared
from include.specs.training import Gates, Threshold
from include.store.packages import Field, ModelPackage
from tests.unit.evaluation.conftest import FIELDS, fit

METRICS = {"roc_auc": {"value": 0.8, "low": 0.75, "high": 0.85}, "brier": {"value": None, "low": None, "high": None}}
REPORT = {"drift_share": 0.5, "drifted": ["a", "b"], "quality": {"missing_rose": {"a": 0.05}}}


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        (Threshold(metric="roc_auc", min=0.8), "pass"),
        (Threshold(metric="roc_auc", min=0.81), "fail"),
        (Threshold(metric="roc_auc", max=0.8), "pass"),
        (Threshold(metric="roc_auc", max=0.79), "fail"),
        (Threshold(metric="brier", max=0.2), "fail"),
    ],
)
def test_thresholds(bound: Threshold, verdict: str) -> None:
    (gate,) = threshold_gates(Gates(thresholds=(bound,)), METRICS)
    assert gate.verdict == verdict
    assert gate.evidence["value"] == METRICS[bound.metric]["value"]


def test_both_ends_of_a_threshold_are_gates_of_their_own() -> None:
    gates = threshold_gates(Gates(thresholds=(Threshold(metric="roc_auc", min=0.9, max=0.95),)), METRICS)
    assert [(gate.name, gate.verdict) for gate in gates] == [("roc_auc >= 0.9", "fail"), ("roc_auc <= 0.95", "pass")]
    assert "0.1 off" in gates[0].message


def test_limits_drift_and_quality() -> None:
    assert limit_gate("latency", 50.0, 50.0, "ms", "p95").verdict == "pass"
    late = limit_gate("latency", 50.1, 50.0, "ms", "p95")
    assert late.verdict == "fail" and "0.1 ms too much" in late.message
    assert drift_gate(Gates(max_drift_share=0.5), REPORT).verdict == "pass"
    assert drift_gate(Gates(max_drift_share=0.49), REPORT).verdict == "fail"
    assert quality_gate(REPORT).verdict == "pass"
    emptied = quality_gate({"quality": {"missing_rose": {"fee": 0.9, "a": 0.05}}})
    assert emptied.verdict == "fail" and emptied.evidence["emptied"] == {"fee": 0.9}


def answers(package: ModelPackage, prepared: Prepared) -> Scored:
    return Scored(outputs_of(package.estimator, prepared.test))


def noise(prepared: Prepared) -> Scored:
    return Scored(np.random.default_rng(0).random(len(prepared.test)))


@pytest.mark.parametrize(
    ("rule", "candidate", "verdict"),
    [
        ("better", "same", "fail"),
        ("not_worse", "same", "pass"),
        ("not_worse", "noise", "fail"),
        ("better", "noise", "fail"),
    ],
)
def test_the_champion_is_compared_on_the_same_rows(
    package: ModelPackage, prepared: Prepared, rule: str, candidate: str, verdict: str
) -> None:
    ours = answers(package, prepared) if candidate == "same" else noise(prepared)
    gate, found = champion_gate(Gates(beat_champion=rule), "roc_auc", prepared, ours, package, 3)
    assert gate.verdict == verdict
    assert gate.evidence["champion"] == 3 and gate.evidence["low"] == found.low
    assert f"on the same {len(prepared.test)} rows" in gate.message


def test_a_better_candidate_passes_and_tolerance_is_granted(prepared: Prepared, package: ModelPackage) -> None:
    weak = fit(prepared, FIELDS[1:])
    gate, found = champion_gate(Gates(beat_champion="better"), "roc_auc", prepared, answers(package, prepared), weak, 1)
    assert gate.verdict == "pass" and found.low > 0
    worse = answers(weak, prepared)
    for tolerance, verdict in ((0.0, "fail"), (0.5, "pass")):
        gate, _ = champion_gate(Gates(tolerance=tolerance), "roc_auc", prepared, worse, package, 1)
        assert gate.verdict == verdict


def test_rows_that_the_champion_was_trained_on_do_not_speak_for_it(prepared: Prepared, package: ModelPackage) -> None:
    ours, seen = answers(package, prepared), np.zeros(len(prepared.test), dtype=bool)
    seen[::3] = True
    spoilt = Scored(np.where(seen, 1 - prepared.test_target, ours.outputs))  # wrong where the champion has an advantage
    assert champion_gate(Gates(), "roc_auc", prepared, spoilt, package, 3)[0].verdict == "fail"
    gate, found = champion_gate(Gates(), "roc_auc", prepared, spoilt, package, 3, seen)
    assert gate.verdict == "pass" and found is not None and found.value == 0
    assert gate.evidence["left_out"] == seen.sum() and gate.evidence["rows"] == (~seen).sum()
    assert f"{seen.sum()} on which that one was trained left out" in gate.message
    everything = np.ones(len(seen), dtype=bool)
    for rule, verdict in (("better", "fail"), ("not_worse", "pass")):
        gate, found = champion_gate(Gates(beat_champion=rule), "roc_auc", prepared, spoilt, package, 3, everything)
        assert (gate.verdict, found) == (verdict, None) and "trained on" in gate.message


def test_classes_in_another_order_are_put_right(prepared: Prepared, package: ModelPackage) -> None:
    turned = replace(prepared, classes=("leaves", "stays"))
    found = champion_scored(package, turned).outputs
    np.testing.assert_allclose(found, 1 - champion_scored(package, prepared).outputs)


@pytest.mark.parametrize(("rule", "verdict"), [("better", "fail"), ("not_worse", "pass")])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features": (*FIELDS, Field(name="gone", type="number"))}, "gone"),
        ({"classes": ("stays", "goes")}, "goes"),
        ({"features": (FIELDS[0], FIELDS[1], Field(name="plan", type="number"))}, "plan"),
        ({"task": "regression"}, "regression"),
    ],
)
def test_a_champion_that_cannot_answer_stops_only_the_strict_rule(
    prepared: Prepared, changes: dict[str, object], reason: str, rule: str, verdict: str
) -> None:
    gate, found = champion_gate(
        Gates(beat_champion=rule), "roc_auc", prepared, noise(prepared), fit(prepared, **changes), 2
    )
    assert found is None and gate.verdict == verdict
    assert reason in gate.message and "cannot be compared" in gate.message


def test_a_column_that_the_champion_does_not_read_may_be_gone(prepared: Prepared) -> None:
    gone = fit(prepared, features=(*FIELDS, Field(name="gone", type="number", used=False)))
    gate, found = champion_gate(Gates(), "roc_auc", prepared, noise(prepared), gone, 2)
    assert found is not None and gate.verdict == "fail"


def test_a_report_fails_with_any_gate_and_its_page_escapes_everything() -> None:
    good = Gate("size", "pass", {"value": 1.0}, "small")
    bad = Gate("<script>alert(1)</script>", "fail", {"why": "<b>"}, "a & b")
    report = GateReport((good, bad))
    assert report.verdict == "fail" and report.failed == [bad]
    assert GateReport((good,)).verdict == "pass"
    json.dumps(report.as_dict(), allow_nan=False)
    html = gate_page("churn<", "run", report, {"algorithm": "<i>"}, METRICS)
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html
    assert "&lt;script&gt;" in html and "a &amp; b" in html
    assert "failed 1 of 2 gates" in html and "0.75 to 0.85" in html
