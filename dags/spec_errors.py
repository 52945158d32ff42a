"""No DAG of its own: makes Airflow show every broken model spec as an import error, while the other models live."""

from include.workflow.build import check_specs

check_specs()
