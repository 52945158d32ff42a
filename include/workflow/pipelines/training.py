"""The pipelines that train: automl_pipeline, model_training, model_retraining. They differ in when and in how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TaskGroup, TriggerRule

from include.specs import ModelSpec
from include.specs.params import TrainingParams
from include.workflow import assets
from include.workflow.command import StepCall
from include.workflow.params import form
from include.workflow.pipelines.base import factory_dag
from include.workflow.rejected import RejectedOperator
from include.workflow.runtime import step, step_at_places

STEPS = ("check", "snapshot", "validate", "prepare", "search", "evaluate", "report", "gate", "register")
_SPARE = timedelta(hours=26)
"""What a run may take on top of its budget; a form's budget is at most a day."""


def automl_pipeline(spec: ModelSpec) -> DAG:
    """Return the pipeline that looks for the best model: by the spec's cron, or by hand."""
    description = f"Find the best model for '{spec.name}', and register it if it passes its gates."
    return _training(spec, "automl_pipeline", description, spec.schedule, "search")[0]


def model_training(spec: ModelSpec) -> DAG:
    """Return the pipeline that fits the champion's configuration again: by hand."""
    description = f"Train '{spec.name}' again as its champion was, and register it if it passes its gates."
    return _training(spec, "model_training", description, None, "refit")[0]


def model_retraining(spec: ModelSpec) -> DAG:
    """Return the pipeline that monitoring starts when the spec's retraining policy says so."""
    retraining = spec.retraining
    description = (
        f"Train '{spec.name}' again because {retraining.k} of the last {retraining.n} monitoring windows raised a "
        f"signal, and register it if it passes its gates."
    )
    schedule = [assets.drift(spec.name)] if retraining.enabled else None
    dag, register = _training(spec, "model_retraining", description, schedule, retraining.strategy)
    with dag:
        register >> step(spec, "model_retraining", "close_retraining", trigger_rule=TriggerRule.ALL_DONE)
    return dag


def _training(
    spec: ModelSpec, pipeline: str, description: str, schedule: Any, strategy: Literal["search", "refit"]
) -> tuple[DAG, BaseOperator]:
    """Return the DAG and its last step.

    Airflow takes a run's state from its leaves, so there are two apart from ``close_retraining``, which always runs:
    ``registered`` fails with whatever failed before it, and ``rejected`` runs only when a step said no.
    """
    dag = factory_dag(
        spec,
        pipeline,
        description,
        schedule=schedule,
        params=form(TrainingParams, strategy=strategy),
        timeout=spec.search.budget + _SPARE,
    )
    with dag:
        with TaskGroup("data", group_display_name="Data", prefix_group_id=False):
            check, snapshot, validate = (step(spec, pipeline, name) for name in ("check", "snapshot", "validate"))
        with TaskGroup("features", group_display_name="Features", prefix_group_id=False):
            prepare = step(spec, pipeline, "prepare")
        if spec.search.workers is not None and strategy == "search":
            with TaskGroup("training", group_display_name="Training", prefix_group_id=False):
                workers = step_at_places(spec, pipeline, "search_worker", spec.search.workers)
                # what the others found is enough where a worker was lost for good
                search = step(spec, pipeline, "search", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
                prepare >> workers >> search
        else:
            search = step(spec, pipeline, "search")
            prepare >> search
        with TaskGroup("gates", group_display_name="Gates", prefix_group_id=False):
            evaluate, report, gate = (step(spec, pipeline, name) for name in ("evaluate", "report", "gate"))
        with TaskGroup("registry", group_display_name="Registry", prefix_group_id=False):
            register = step(spec, pipeline, "register", outlets=[assets.challenger(spec.name)])
        registered = EmptyOperator(task_id="registered", task_display_name="Registered")
        rejected = RejectedOperator(
            task_id="rejected",
            task_display_name="Rejected",
            call=StepCall(spec.name, pipeline, "rejected", "rejected"),
            asked=STEPS,
            trigger_rule=TriggerRule.ALL_SKIPPED,
        )
        check >> snapshot >> validate >> prepare
        search >> [evaluate, report] >> gate >> [register, rejected]
        register >> registered
    return dag, register
