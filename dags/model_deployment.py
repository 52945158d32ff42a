"""Airflow DAGs `<model>.model_deployment`: release a new challenger in steps."""

from include.workflow.build import dags

globals().update(dags("model_deployment"))
