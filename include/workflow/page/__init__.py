"""The factory's own page in the Airflow UI: every model at a glance, and the artifacts of its runs."""
