"""Airflow DAGs `<model>.model_training`: train a model again with its champion's configuration."""

from include.workflow.build import dags

globals().update(dags("model_training"))
