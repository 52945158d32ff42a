"""feature_materialization: keep the online store of a model with a feature service up to date."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from include.specs import ModelSpec
from include.specs.params import MaterializationParams
from include.workflow.params import form
from include.workflow.pipelines.base import factory_dag
from include.workflow.runtime import step

PIPELINE = "feature_materialization"


def feature_materialization(spec: ModelSpec) -> DAG | None:
    """Return the pipeline, which runs every day; None for a model whose source is no feature service.

    The interval is always given to the step: its end is the run's logical date unless the form says otherwise.
    """
    if spec.data.source.type != "feast":
        return None
    dag = factory_dag(
        spec,
        PIPELINE,
        f"Copy the features of '{spec.name}' to the online store.",
        schedule="@daily",
        params=form(MaterializationParams),
        timeout=timedelta(hours=6),
    )
    with dag:
        step(spec, PIPELINE, "materialize", defaults="end=dag_run.logical_date")
    return dag
