"""A spec is read whole: every problem at once, with the field, the reason and the nearest right spelling."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from include.specs import SpecError, load_all, load_spec, parse_spec
from include.specs.base import format_duration, parse_duration
from include.specs.reference import REFERENCE_FILE, reference_text
from include.specs.schema import SCHEMA_FILE, schema_text

SMALLEST = """
name: telco
owner: me@example.com
data:
  source: {path: data/telco.csv}
problem: {type: binary, target: Churn}
"""


def problems_of(text: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "x.yaml")
    return {p.where.removeprefix("x.yaml").removeprefix(": "): (p.message, p.fix) for p in caught.value.problems}


def test_ten_lines_are_enough() -> None:
    spec = parse_spec(SMALLEST, "telco.yaml")
    assert spec.data.source.type == "csv"
    assert spec.metric == "roc_auc"
    assert spec.release.steps == (10, 50, 100)


def test_every_problem_is_told_at_once_with_its_field_and_a_fix() -> None:
    found = problems_of(
        """
nme: churn
name: churn
owner: me
data: {source: {path: x.csv, foo: 1}, wndow: 7d}
problem: {type: binry, target: y}
search: {budget: 10}
gates: {thresholds: [{metrc: 1}]}
release: {steps: [10, 5]}
experiment: {metrics: 3}
"""
    )
    assert found["nme"] == ("unknown field 'nme'", "did you mean 'name'?")
    assert found["data.wndow"][1] == "did you mean 'window'?"
    assert found["data.source.foo"][0] == "unknown field 'foo'"
    assert found["problem.type"] == ("'binry' is not allowed", "did you mean 'binary'?")
    assert "not a duration" in found["search.budget"][0]
    assert found["gates.thresholds.0.metrc"][1] == "did you mean 'metric'?"
    assert "rise and end with 100" in found["release"][0]
    assert found["experiment.metrics"][1] == "did you mean 'metric'?"


@pytest.mark.parametrize("kind", ["forecast", "clustering", "anomaly"])
def test_problems_that_come_later_are_named_and_refused(kind: str) -> None:
    message, _ = problems_of(SMALLEST.replace("binary", kind))["problem.type"]
    assert message == f"'{kind}' is planned but not built yet; today's types are binary, multiclass, regression"


def test_a_metric_of_another_task_is_refused_with_the_field() -> None:
    found = problems_of(SMALLEST.replace("target: Churn", "target: Churn, metric: rmse"))
    assert "'rmse' is no metric of a binary model" in found["problem.metric"][0]


def test_a_metric_is_found_by_its_nearest_spelling() -> None:
    found = problems_of(SMALLEST.replace("target: Churn", "target: Churn, metric: rocauc"))
    assert "did you mean 'roc_auc'?" in found["problem.metric"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "no mapping"),
        ("", "no mapping"),
        ("!!python/object:os.system {}", "not valid"),
    ],
)
def test_a_file_that_is_no_spec_says_so(text: str, message: str) -> None:
    assert any(message in told for told, _ in problems_of(text).values())


@pytest.mark.parametrize("name", ["Churn", "1st", "a-b", "../etc", "a" * 64, ""])
def test_a_name_that_cannot_be_a_dag_id_or_path_is_refused(name: str) -> None:
    message, fix = problems_of(SMALLEST.replace("name: telco", f"name: '{name}'"))["name"]
    assert "lower-case letters, digits and underscores" in message + fix


def test_a_password_belongs_into_the_environment() -> None:
    found = problems_of(
        SMALLEST.replace("{path: data/telco.csv}", "{type: sql, uri: 'postgresql://u:pw@h/d', table: t}")
    )
    ((message, _),) = found.values()
    assert "uri_env" in message
    assert ":pw@" not in message


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(tmp_path))
    return tmp_path


def test_a_broken_file_leaves_the_other_models_alone(models: Path) -> None:
    (models / "telco.yaml").write_text(SMALLEST)
    (models / "broken.yaml").write_text("name: broken\nowner: [")
    (models / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    catalogue = load_all()
    assert list(catalogue.specs) == ["telco"]
    assert {problem.where.split(":")[0].split("/")[-1].split(" ")[0] for problem in catalogue.problems} == {
        "broken.yaml",
        "binary.yaml",
    }


def test_two_files_cannot_claim_one_name(models: Path) -> None:
    (models / "telco.yaml").write_text(SMALLEST)
    (models / "copy.yaml").write_text(SMALLEST)
    catalogue = load_all()
    assert list(catalogue.specs) == ["telco"]
    assert "duplicate model name 'telco'" in catalogue.problems[0].message


def test_a_missing_model_is_answered_with_the_nearest_one(models: Path) -> None:
    (models / "telco.yaml").write_text(SMALLEST)
    with pytest.raises(SpecError, match="did you mean 'telco'"):
        load_spec("tleco")


def test_the_shipped_specs_are_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACTORY_MODELS_DIR", raising=False)
    catalogue = load_all()
    assert not catalogue.problems
    assert {"churn", "breast_cancer", "diabetes"} <= set(catalogue.specs)


def test_the_committed_schema_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run `make schema`"
    assert REFERENCE_FILE.read_text() == reference_text(), "run `make schema`"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("4w", 2419200), ("0.5h", 1800)]
)
def test_durations_are_read_and_written_back(text: str, seconds: float) -> None:
    value = parse_duration(text)
    assert value == timedelta(seconds=seconds)
    assert parse_duration(format_duration(value)) == value
