"""The command line of a step is what both runtimes start, and what the entry point reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from jinja2 import Environment

from include.steps.__main__ import main
from include.workflow.command import MACROS, StepCall, step_params


def rendered(call: StepCall, **context: object) -> list[str]:
    environment = Environment(autoescape=False)
    environment.globals |= MACROS
    return [environment.from_string(part).render(**context) for part in call.arguments()]


def test_every_argument_is_understood_by_the_entry_point(capsys):
    call = StepCall("churn", "automl_pipeline", "snapshot", "snapshot")
    arguments = rendered(call, run_id="manual__2026-11-20T10:00:00+00:00", params={"budget": 5, "force": True})
    assert arguments[:3] == ["-m", "include.steps", "snapshot"]
    named = dict(zip(arguments[3::2], arguments[4::2], strict=True))
    assert named == {
        "--model": "churn",
        "--pipeline": "automl_pipeline",
        "--run": "automl_pipeline.manual__2026-11-20T10-00-00-00-00",
        "--task": "snapshot",
        "--params": '{"budget": 5, "force": true}',
    }
    named["--params"] = "{broken"
    assert main(["snapshot", *(part for pair in named.items() for part in pair)]) == 1
    assert "failed: Expecting property name" in capsys.readouterr().err


def test_quotes_and_braces_in_a_parameter_survive_the_rendering():
    call = StepCall("churn", "automl_pipeline", "check", "check")
    note = """it's "{{ run_id }}" </script>"""
    params = rendered(call, run_id="r", params={"note": note})[-1]
    assert json.loads(params) == {"note": note}


def test_empty_parameters_give_way_to_defaults_and_given_ones_do_not():
    at = datetime(2026, 11, 20, tzinfo=UTC)
    assert json.loads(step_params({"start": None, "end": None}, end=at)) == {"end": "2026-11-20 00:00:00+00:00"}
    assert json.loads(step_params({"end": "2026-01-01"}, end=at)) == {"end": "2026-01-01"}
    assert json.loads(step_params({"end": None}, end=None)) == {}


def test_materialization_is_told_the_logical_date():
    call = StepCall("shop", "feature_materialization", "materialize", "materialize", "end=dag_run.logical_date")
    run = type("Run", (), {"logical_date": datetime(2026, 11, 20, tzinfo=UTC)})
    assert json.loads(rendered(call, run_id="r", params={}, dag_run=run)[-1]) == {"end": "2026-11-20 00:00:00+00:00"}
