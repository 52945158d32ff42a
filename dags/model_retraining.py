"""Airflow DAGs `<model>.model_retraining`: train a model again when monitoring asks for it."""

from include.workflow.build import dags

globals().update(dags("model_retraining"))
