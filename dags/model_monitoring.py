"""Airflow DAGs `<model>.model_monitoring`: watch what a model answered."""

from include.workflow.build import dags

globals().update(dags("model_monitoring"))
