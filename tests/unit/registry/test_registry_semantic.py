"""Semantic versions say what a new version means to callers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.registry.semantic import next_semantic, schema_digest
from include.store.packages import Field, Manifest

TAGS = {"factory.schema": "a", "factory.algorithm": "linear", "factory.parameters": '{"C": 1}'}
MANIFEST = Manifest(
    model="m",
    task="binary",
    target="y",
    features=(Field(name="age", type="number"), Field(name="plan", type="string")),
    classes=("no", "yes"),
    algorithm="linear",
    run="r",
    trained_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_the_first_version_is_1_0_0():
    assert next_semantic(None, {}, TAGS) == "1.0.0"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "2.3.5"),
        ({"factory.parameters": '{"C": 2}'}, "2.4.0"),
        ({"factory.algorithm": "xgboost"}, "2.4.0"),
        ({"factory.schema": "b"}, "3.0.0"),
        ({"factory.schema": "b", "factory.algorithm": "xgboost"}, "3.0.0"),
        ({"factory.snapshot": "other data"}, "2.3.5"),
    ],
)
def test_the_kind_of_change_decides(change, expected):
    assert next_semantic("2.3.4", TAGS, TAGS | change) == expected


def test_numbers_are_compared_as_numbers():
    assert next_semantic("9.9.9", TAGS, TAGS) == "9.9.10"


@pytest.mark.parametrize(
    "change",
    [
        {"task": "regression", "classes": None},
        {"target": "z"},
        {"features": MANIFEST.features[:1]},
        {"features": (Field(name="age", type="string"), MANIFEST.features[1])},
        {"classes": ("yes", "no")},
    ],
)
def test_what_a_caller_sees_is_the_schema(change):
    assert schema_digest(MANIFEST.model_copy(update=change)) != schema_digest(MANIFEST)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "xgboost"},
        {"run": "other"},
        {"threshold": 0.3},
        {"features": MANIFEST.features[::-1]},
        {"features": tuple(field.model_copy(update={"example": 1, "nullable": False}) for field in MANIFEST.features)},
    ],
)
def test_what_a_caller_does_not_see_is_not(change):
    assert schema_digest(MANIFEST.model_copy(update=change)) == schema_digest(MANIFEST)
