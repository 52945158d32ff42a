"""Build the DAGs of one pipeline: for every model when Airflow reads a file, for one when a worker runs a task."""

from __future__ import annotations

from importlib import import_module

from airflow.sdk import DAG, get_parsing_context

from include.specs import FactoryError, SpecError, did_you_mean, load_all, load_spec

PIPELINES = {
    "automl_pipeline": "include.workflow.pipelines.training",
    "model_training": "include.workflow.pipelines.training",
    "model_retraining": "include.workflow.pipelines.training",
    "model_deployment": "include.workflow.pipelines.deployment",
    "model_monitoring": "include.workflow.pipelines.monitoring",
    "feature_materialization": "include.workflow.pipelines.materialization",
}
"""Pipeline → module with a function of that name, which takes a spec and returns its DAG."""


def dags(pipeline: str) -> dict[str, DAG]:
    """Return the DAGs of ``pipeline`` by id.

    A model whose spec is broken has none, and disturbs no other; `check_specs` reports it. A worker that runs a task
    names its DAG in the parsing context: then only that model's spec is read, and only its DAG is built.

    Raises:
        FactoryError: there is no such pipeline.
        SpecError: the one model that a worker asks for is broken.
    """
    if pipeline not in PIPELINES:
        raise FactoryError(f"there is no pipeline '{pipeline}'; {did_you_mean(pipeline, PIPELINES)}")
    make = getattr(import_module(PIPELINES[pipeline]), pipeline)
    wanted = get_parsing_context().dag_id
    if wanted is None:
        specs = list(load_all().specs.values())
    else:
        model, _, asked = wanted.partition(".")
        specs = [load_spec(model)] if asked == pipeline else []
    built = [dag for spec in specs if (dag := make(spec)) is not None]
    return {dag.dag_id: dag for dag in built}


def check_specs() -> None:
    """Raise what is wrong with the specs, for Airflow to show as an import error; a worker is not bothered with it.

    Raises:
        SpecError: some specs are broken; every problem is listed with file, field and fix.
    """
    if get_parsing_context().dag_id is None and (problems := load_all().problems):
        raise SpecError(problems)
