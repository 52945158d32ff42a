"""Operators, assets, DAG building: the only package that imports Airflow."""
