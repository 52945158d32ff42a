"""Airflow DAGs `<model>.feature_materialization`: keep the online feature store of a model up to date."""

from include.workflow.build import dags

globals().update(dags("feature_materialization"))
