"""The DAGs that specs become."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from jinja2 import Environment

from include.specs import FactoryError, SpecError, load_all
from include.specs.params import MonitoringParams, TrainingParams
from include.steps.catalogue import STEPS as CATALOGUE
from include.workflow.build import PIPELINES, check_specs, dags
from include.workflow.links import STEP_LINKS
from include.workflow.stages import STEPS
from tests.unit.workflow.conftest import FEAST

TRAINING = ["check", "snapshot", "validate", "prepare", "search", "evaluate", "report", "gate", "register"]


def only(pipeline: str) -> DAG:
    (dag,) = dags(pipeline).values()
    return dag


def downstream(dag: DAG) -> dict[str, set[str]]:
    return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}


def test_every_step_of_the_catalogue_has_a_title_and_only_known_steps_have_links():
    assert set(STEPS) == set(CATALOGUE)
    assert set(STEP_LINKS) <= set(CATALOGUE)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_shipped_spec_has_its_pipelines(pipeline, platform):
    built = dags(pipeline)
    expected = [
        f"{name}.{pipeline}"
        for name, spec in load_all().specs.items()
        if pipeline != "feature_materialization" or spec.data.source.type == "feast"
    ]
    assert list(built) == expected
    for dag in built.values():
        dag.check_cycle()
        assert dag.max_active_runs == 1
        assert dag.catchup is False
        assert all(task.retries == 2 for task in dag.tasks)


@pytest.mark.parametrize("pipeline", ["automl_pipeline", "model_training", "model_retraining"])
def test_training_runs_the_steps_in_order_and_ends_in_two_leaves(pipeline, write_spec):
    write_spec("shop")
    found = downstream(only(pipeline))
    closing = {"close_retraining"} if pipeline == "model_retraining" else set()
    assert found == {
        "check": {"snapshot"},
        "snapshot": {"validate"},
        "validate": {"prepare"},
        "prepare": {"search"},
        "search": {"evaluate", "report"},
        "evaluate": {"gate"},
        "report": {"gate"},
        "gate": {"register", "rejected"},
        "register": {"registered"} | closing,
        "registered": set(),
        "rejected": set(),
        **{task: set() for task in closing},
    }
    groups = {task.task_id: task.task_group.group_id for task in only(pipeline).tasks}
    assert [groups[step] for step in TRAINING] == ["data"] * 3 + ["features", None] + ["gates"] * 3 + ["registry"]


def test_workers_share_the_search_where_the_spec_asks_for_them(write_spec):
    write_spec("shop", more="search: {workers: 3}")
    dag = only("automl_pipeline")
    found = downstream(dag)
    assert found["prepare"] == {"search_worker"}
    assert found["search_worker"] == {"search"}
    assert found["search"] == {"evaluate", "report"}
    workers, last = dag.get_task("search_worker"), dag.get_task("search")
    assert {task.task_group.group_id for task in (workers, last)} == {"training"}
    assert last.trigger_rule == "all_done_min_one_success"
    assert workers.expand_input.value == {"place": [1, 2, 3]}
    second = workers.unmap({"place": 2})
    assert second.arguments[second.arguments.index("--task") + 1] == "search_worker_2"
    named = Environment(autoescape=True).from_string(workers.map_index_template)
    assert named.render(task=second) == "Search worker 2"
    assert "search_worker" not in downstream(only("model_training")), "one configuration leaves nothing to share"
    stored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert stored.get_task("search_worker").downstream_task_ids == {"search"}


def test_assets_join_the_pipelines(write_spec):
    write_spec("shop")
    register = only("automl_pipeline").get_task("register")
    deployment, retraining = only("model_deployment"), only("model_retraining")
    assert [asset.name for asset in register.outlets] == ["shop.challenger"]
    assert [asset.name for asset in deployment.get_task("promote").outlets] == ["shop.champion"]
    assert [asset.name for asset in deployment.schedule] == ["shop.challenger"]
    (drift,) = retraining.schedule
    assert drift.name == "shop.drift"
    (watcher,) = drift.watchers
    assert watcher.trigger.serialize()[1]["model"] == "shop"


def test_a_model_without_retraining_is_watched_by_no_trigger(write_spec):
    write_spec("shop", more="retraining: {enabled: false}")
    assert only("model_retraining").schedule is None


def test_a_canary_has_one_task_a_step_and_blue_green_one(write_spec):
    write_spec("shop", more="release: {steps: [5, 100]}")
    assert downstream(only("model_deployment")) == {
        "plan_release": {"shift_5"},
        "shift_5": {"shift_100"},
        "shift_100": {"promote"},
        "promote": {"released", "rejected", "rollback"},
        "released": set(),
        "rejected": set(),
        "rollback": set(),
    }
    write_spec("shop", more="release: {policy: blue_green}")
    assert {"shift_100"} == {task for task in downstream(only("model_deployment")) if task.startswith("shift")}


def test_a_release_by_hand_waits_for_a_person_and_never_approves_by_itself(write_spec):
    write_spec("shop", more="release: {automatic: false}")
    dag = only("model_deployment")
    approval = dag.get_task("approval")
    assert downstream(dag)["plan_release"] == {"approval"}
    assert downstream(dag)["approval"] == {"shift_10"}
    assert approval.defaults is None
    assert approval.response_timeout is None
    assert dag.dagrun_timeout > timedelta(days=7)


def test_schedules_come_from_the_spec(write_spec):
    write_spec("shop", more='schedule: "0 3 * * 1"\nmonitoring: {schedule: "30 4 * * *"}')
    assert only("automl_pipeline").schedule == "0 3 * * 1"
    assert only("model_monitoring").schedule == "30 4 * * *"
    assert only("model_training").schedule is None


def test_only_feature_services_are_materialized(write_spec):
    write_spec("shop")
    write_spec("fed", FEAST)
    assert list(dags("feature_materialization")) == ["fed.feature_materialization"]


def test_a_dag_tells_what_it_is_about(write_spec):
    write_spec("shop", more="gates: {thresholds: [{metric: roc_auc, min: 0.7}, {metric: log_loss, max: 0.5}]}")
    dag = only("automl_pipeline")
    assert dag.tags == {"shop", "owner:team@example.com", "binary", "automl_pipeline"}
    for part in ("Who buys.", "team@example.com", "`bought` (binary)", "roc_auc ≥ 0.7, log_loss ≤ 0.5", "rows.parquet"):
        assert part in dag.doc_md
    assert all(task.owner == "team@example.com" for task in dag.tasks)


def test_the_form_takes_what_the_steps_take_and_refuses_the_rest(write_spec):
    write_spec("shop", more="retraining: {strategy: refit}")
    form = only("automl_pipeline").params
    assert set(form) == set(TrainingParams.model_fields)
    assert all(form.get_param(name).description for name in form)
    assert TrainingParams.model_validate(form.dump()) == TrainingParams(strategy="search")
    assert only("model_training").params["strategy"] == "refit"
    assert only("model_retraining").params["strategy"] == "refit"
    given = {"budget": 12.5, "data_start": "2026-01-01T00:00:00+00:00", "strategy": None, "force": True}
    form.update(given)
    parsed = TrainingParams.model_validate(form.validate())
    assert parsed.budget == 12.5
    assert parsed.data_start == datetime(2026, 1, 1, tzinfo=UTC)
    for wrong in ({"budget": 0}, {"budget": "long"}, {"strategy": "guess"}, {"force": "yes"}):
        with pytest.raises(ParamValidationError):
            only("automl_pipeline").params.update(wrong)
    assert set(only("model_monitoring").params) == set(MonitoringParams.model_fields)


def test_a_broken_spec_takes_down_no_other_model_and_is_told(write_spec):
    write_spec("shop")
    write_spec("broken", more="serch: {budget: 5s}")
    assert list(dags("automl_pipeline")) == ["shop.automl_pipeline"]
    with pytest.raises(SpecError) as caught:
        check_specs()
    assert "broken.yaml: serch: unknown field 'serch' → did you mean 'search'?" in str(caught.value)


def test_a_worker_reads_one_spec_and_builds_one_dag(write_spec, monkeypatch):
    write_spec("shop")
    write_spec("other").unlink()
    write_spec("unreadable").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "shop.automl_pipeline")
    assert list(dags("automl_pipeline")) == ["shop.automl_pipeline"]
    assert dags("model_training") == {}
    check_specs()
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "other.automl_pipeline")
    with pytest.raises(SpecError, match="there is no model 'other'"):
        dags("automl_pipeline")


def test_a_new_spec_is_found_at_the_next_parse(write_spec):
    write_spec("shop")
    assert len(dags("model_training")) == 1
    write_spec("second")
    assert list(dags("model_training")) == ["second.model_training", "shop.model_training"]


def test_an_unknown_pipeline_is_named():
    with pytest.raises(FactoryError, match="did you mean 'model_training'"):
        dags("model_traning")
