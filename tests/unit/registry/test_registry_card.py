"""The model card says what the run recorded, and nothing that it did not."""

from __future__ import annotations

from datetime import UTC, datetime

from include.registry.card import model_card
from include.specs import load_spec
from include.store.packages import Field, Manifest

MANIFEST = Manifest(
    model="churn",
    task="binary",
    target="churned",
    features=(
        Field(name="plan", type="string", example="a|b"),
        Field(name="fee", type="number", nullable=False, example=9.5),
    ),
    classes=(0, 1),
    threshold=0.4,
    algorithm="xgboost",
    run="automl_pipeline.one",
    trained_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)
STEPS = {
    "snapshot": {
        "digest": "abc123",
        "rows": 1000,
        "origin": "both",
        "first_event": "2026-01-01T00:00:00+00:00",
        "last_event": "2026-02-01T00:00:00+00:00",
    },
    "validate": {"quarantined": 12},
    "prepare": {"train_rows": 750, "test_rows": 250, "prevalence": 0.25, "dropped": {"nothing": "all values missing"}},
    "search": {
        "cv": {"mean": 0.8123, "std": 0.011, "folds": [0.8, 0.82, 0.81]},
        "trials": 17,
        "seconds": 20.4,
        "packaging": {
            "runtime": "onnx",
            "candidates": [
                {"runtime": "sklearn", "rows": 250, "one_ms": 2.5, "batch_ms": 3.25, "size_mb": 0.5, "faithful": True},
                {
                    "runtime": "onnx",
                    "faithful": True,
                    "rows": 250,
                    "share_different": 0.004,
                    "share_labels": 0.0,
                    "largest_difference": 0.098,
                    "one_ms": 0.0123,
                    "batch_ms": 0.6,
                    "size_mb": 0.25,
                },
                {"runtime": "xgboost", "faithful": False, "reason": "Ridge is no model of xgboost"},
            ],
        },
    },
    "evaluate": {
        "metrics": {
            "roc_auc": {"value": 0.81234, "low": 0.78, "high": 0.84},
            "log_loss": {"value": 0.4, "low": None, "high": None},
        },
        "latency_ms": {"p50": 1.5, "p95": 2.25},
        "size_mb": 0.5,
    },
    "report": {"drift_share": 0.125},
    "gate": {
        "gates": [{"name": "roc_auc", "verdict": "pass", "message": "0.812 ≥ 0.7", "evidence": {}}],
        "champion": 3,
        "comparison": {},
    },
}


def card(steps):
    return model_card(load_spec("churn"), MANIFEST, steps, {"Code": "`git.abc`"})


def test_it_tells_the_whole_story():
    text = card(STEPS)
    for expected in (
        "# churn: model card",
        "Which subscribers leave within four weeks",
        "positive is `1`, answered from a probability of 0.4",
        "| **roc_auc** | 0.8123 | 0.78 to 0.84 |",
        "| log_loss | 0.4 |  |",
        "roc_auc 0.8123 ± 0.011 over 3 folds",
        "p50 1.5 ms, p95 2.25 ms",
        "17 trials in 20.4 s",
        "| roc_auc | pass | 0.812 ≥ 0.7 |",
        "Compared with version 3 on the same rows.",
        "rows from both",
        "2026-01-01T00:00:00+00:00 to 2026-02-01T00:00:00+00:00",
        "**Set aside by validation**: 12",
        "**Positive share**: 0.25",
        "| `fee` | number | yes | no | 9.5 |",
        "`nothing` is not used: all values missing",
        "12% of its inputs differed",
        "Its data are simulated",
        "POST /v1/models/churn/predict",
        "**Code**: `git.abc`",
    ):
        assert expected in text, expected


def test_a_bar_in_a_value_does_not_break_a_table():
    assert "| `plan` | string | yes | yes | a\\|b |" in card(STEPS)


def test_what_was_not_recorded_is_left_out():
    text = card({})
    assert "## Inputs" in text
    for absent in ("## Gates", "metric |", "Snapshot", "Events", "nan", "None"):
        assert absent not in text, absent


def test_the_card_says_how_the_version_is_served() -> None:
    card = model_card(load_spec("churn"), MANIFEST, STEPS, {})
    assert "## How it is served" in card
    assert (
        "`onnx` answers. Each runtime was held against the estimator as it was trained (`sklearn`) on 250 rows" in card
    )
    assert "| **onnx** | 0.0123 | 0.6 | 0.25 | 0.40% | 0.00% | 0.098 |  |" in card
    assert "| xgboost |  |  |  |  |  |  | Ridge is no model of xgboost |" in card
    unknown = {**STEPS, "search": {}}
    assert "How it is served" not in model_card(load_spec("churn"), MANIFEST, unknown, {})


def test_the_card_says_whether_trials_are_stacked_and_why() -> None:
    told = "A second model over 3 trials was taken: better by 0.01."
    stacked = {**STEPS, "search": {**STEPS["search"], "second_model": {"taken": True, "told": told}}}
    assert "- **Algorithm**: xgboost, stacked\n" in card(stacked) and f"- **Second model**: {told}" in card(stacked)
    refused = {**STEPS, "search": {**STEPS["search"], "second_model": {"taken": False, "told": "It was refused."}}}
    assert "stacked" not in card(refused) and "- **Second model**: It was refused." in card(refused)
    assert "Second model" not in card(STEPS)
