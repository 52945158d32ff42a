"""Run DAGs in one process against Airflow's database, and print how every task ended: ``runs.py SCENARIOS``."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

from include.workflow.build import dags
from include.workflow.command import StepCall

arguments = StepCall.arguments
StepCall.arguments = lambda call: [str(Path(__file__).with_name("step.py")), *arguments(call)[2:]]  # type: ignore[method-assign]

ended = {}
for name, scenario in json.loads(sys.argv[1]).items():
    os.environ["STEP_OUTCOMES"] = json.dumps(scenario["outcomes"])
    dag = dags(scenario["pipeline"])[f"{scenario.get('model', 'shop')}.{scenario['pipeline']}"]
    for task in dag.tasks:
        if task.is_mapped:
            task.partial_kwargs["retry_delay"] = timedelta(0)
        else:
            task.retry_delay = timedelta(0)
    run = dag.test()
    ended[name] = {
        "run": str(run.state),
        **{
            instance.rendered_map_index or instance.task_id: str(instance.state)
            for instance in run.get_task_instances()
        },
    }
    for instance in run.get_task_instances():
        if instance.task_id == "gate":
            ended[name]["link"] = instance.xcom_pull(task_ids="gate", key="link_gate_report")
Path(sys.argv[2]).write_text(json.dumps(ended))
