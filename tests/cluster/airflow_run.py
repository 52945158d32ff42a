"""Run one task of a DAG in Airflow's own task runner and triggerer, and print how it ended: ``airflow_run.py DAG TASK``."""

from __future__ import annotations

import json
import sys

from include.workflow.build import dags

dag_id, task_id = sys.argv[1:]
dag = dags(dag_id.partition(".")[2])[dag_id].partial_subset(task_id, include_upstream=False)
run = dag.test()
(instance,) = run.get_task_instances()
answer = {"state": str(instance.state), "tries": instance.try_number, "value": instance.xcom_pull(task_ids=task_id)}
print("ANSWER" + json.dumps(answer))
