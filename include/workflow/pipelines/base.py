"""What every DAG of the factory has in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from include.specs import ModelSpec
from include.workflow.command import MACROS
from include.workflow.doc import document

RETRIES = 2
RETRY_DELAY = timedelta(seconds=10)


def factory_dag(
    spec: ModelSpec,
    pipeline: str,
    description: str,
    *,
    schedule: Any,
    params: dict[str, Param],
    timeout: timedelta,
) -> DAG:
    """Return the empty DAG ``<model>.<pipeline>``.

    It starts unpaused: whether and when it runs is the spec's to say, and a release must not wait for a switch.

    Args:
        spec: the model.
        pipeline: the pipeline's name.
        description: one sentence on what it does.
        schedule: cron expression, assets, or None for runs by hand.
        params: the trigger form.
        timeout: a run that takes longer is ended, so that it does not keep the next one waiting for ever.
    """
    mail = {spec.owner: f"mailto:{spec.owner}"} if "@" in spec.owner else {}
    return DAG(
        dag_id=f"{spec.name}.{pipeline}",
        description=description,
        doc_md=document(spec, pipeline, description),
        schedule=schedule,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timeout,
        is_paused_upon_creation=False,
        params=params,
        tags=sorted({spec.name, f"owner:{spec.owner}", spec.problem.type, pipeline, *spec.tags}),
        owner_links=mail,
        default_args={"owner": spec.owner, "retries": RETRIES, "retry_delay": RETRY_DELAY},
        user_defined_macros=dict(MACROS),
        render_template_as_native_obj=False,
    )
