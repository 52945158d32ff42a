"""Airflow DAGs `<model>.automl_pipeline`: find the best model of each spec."""

from include.workflow.build import dags

globals().update(dags("automl_pipeline"))
