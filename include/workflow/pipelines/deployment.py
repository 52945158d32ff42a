"""model_deployment: roll the challenger out in steps, undo it when it does badly, promote it when it does not."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TaskGroup, TriggerRule, chain

from include.specs import ModelSpec
from include.specs.params import DeploymentParams
from include.workflow import assets
from include.workflow.command import StepCall
from include.workflow.params import form
from include.workflow.pipelines.base import factory_dag
from include.workflow.rejected import RejectedOperator
from include.workflow.runtime import step

PIPELINE = "model_deployment"
_ROLLOUT = timedelta(hours=6)
_APPROVAL = timedelta(days=14)


def model_deployment(spec: ModelSpec) -> DAG:
    """Return the pipeline that a new challenger starts.

    ``released`` fails with whatever failed before it; ``rejected`` runs when a step or a person said no;
    ``rollback`` runs when a step of the rollout failed or said no.
    """
    release = spec.release
    steps = release.steps if release.policy == "canary" else (100,)
    shown = " → ".join(f"{percent} %" for percent in steps)
    dag = factory_dag(
        spec,
        PIPELINE,
        f"Release the challenger of '{spec.name}' ({release.policy.replace('_', '-')}: {shown}), or roll it back.",
        schedule=[assets.challenger(spec.name)],
        params=form(DeploymentParams),
        timeout=_ROLLOUT + release.bake * len(steps) + (timedelta(0) if release.automatic else _APPROVAL),
    )
    with dag:
        plan = step(spec, PIPELINE, "plan_release")
        ask = [] if release.automatic else [_approval(spec)]
        with TaskGroup("rollout", group_display_name="Rollout", prefix_group_id=False):
            shifts: list[BaseOperator] = [
                step(spec, PIPELINE, "shift", task=f"shift_{percent}", title=f"Shift to {percent} %")
                for percent in steps
            ]
            promote = step(spec, PIPELINE, "promote", outlets=[assets.champion(spec.name)])
        risky = [*(f"shift_{percent}" for percent in steps), "promote"]
        released = EmptyOperator(task_id="released", task_display_name="Released")
        rejected = RejectedOperator(
            task_id="rejected",
            task_display_name="Rejected",
            call=StepCall(spec.name, PIPELINE, "rejected", "rejected"),
            asked=["plan_release", *risky],
            approval=None if release.automatic else "approval",
            trigger_rule=TriggerRule.ALL_SKIPPED,
        )
        rollback = step(spec, PIPELINE, "rollback", mends=risky, trigger_rule=TriggerRule.ALL_DONE)
        chain(plan, *ask, *shifts, promote, [released, rejected, rollback])
    return dag


def _approval(spec: ModelSpec) -> BaseOperator:
    """Return the task at which a person decides in the Airflow UI. Silence is never taken for consent."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    return ApprovalOperator(
        task_id="approval",
        task_display_name="Approval",
        subject=f"Release the challenger of {spec.name}?",
        body="{{ ti.xcom_pull(task_ids='plan_release')['message'] }}",
    )
