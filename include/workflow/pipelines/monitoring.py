"""model_monitoring: analyse the windows that have ended, and decide whether to train again."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, chain

from include.specs import ModelSpec
from include.specs.params import MonitoringParams
from include.workflow.params import form
from include.workflow.pipelines.base import factory_dag
from include.workflow.runtime import step

PIPELINE = "model_monitoring"


def model_monitoring(spec: ModelSpec) -> DAG:
    """Return the pipeline that watches what was served; it ends green whether it finds something or not."""
    dag = factory_dag(
        spec,
        PIPELINE,
        f"Watch what '{spec.name}' answered: drift, quality and performance, window by window.",
        schedule=spec.monitoring.schedule,
        params=form(MonitoringParams),
        timeout=timedelta(hours=6),
    )
    with dag:
        chain(step(spec, PIPELINE, "monitor"), step(spec, PIPELINE, "decide"))
    return dag
