"""How long Airflow spends on reading the DAG files, with many models: ``make bench-parse``.

Two bounds are held, over 200 generated specs: every file parses in under 10 s when all its DAGs are built, and a worker
that runs a task spends under 0.5 s on building the one DAG that it needs. The gain of building one instead of all is
given as a ratio within the same run, which does not depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import runpy
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE_SECONDS, TASK_SECONDS = 10.0, 0.5
SPEC = """\
spec_version: 1
name: {name}
description: Generated for a benchmark.
owner: team{team}@example.com
tags: [generated]
data:
  source: {source}
  id: key
  time: at
problem: {{type: binary, target: outcome}}
gates: {{thresholds: [{{metric: roc_auc, min: 0.7}}]}}
schedule: "0 3 * * {day}"
monitoring: {{schedule: "30 4 * * *"}}
release: {{automatic: {automatic}}}
"""


def write_specs(folder: Path, count: int) -> None:
    """Write ``count`` specs; every fourth reads a feature service, every tenth asks for approval."""
    folder.mkdir(parents=True)
    for number in range(count):
        feast = "{type: feast, service: service, entities: data/entities.parquet}"
        text = SPEC.format(
            name=f"model_{number:04d}",
            team=number % 7,
            source=feast if number % 4 == 0 else "{type: parquet, path: data/rows.parquet}",
            day=number % 7,
            automatic="false" if number % 10 == 0 else "true",
        )
        (folder / f"model_{number:04d}.yaml").write_text(text, encoding="utf-8")


def parse(file: Path, dag_id: str | None) -> tuple[float, int]:
    """Execute a DAG file for one DAG, or for all; return the seconds of CPU and how many DAGs it made.

    As in Airflow, it happens in a child forked from a process that has imported Airflow and nothing of ours: the
    imports that a DAG file needs are part of what a task pays.
    """
    receive, send = os.pipe()
    if (child := os.fork()) == 0:
        os.environ.pop("_AIRFLOW_PARSING_CONTEXT_DAG_ID", None)
        if dag_id is not None:
            os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = dag_id
        gc.freeze()
        started = time.process_time()
        names = runpy.run_path(str(file))
        seconds = time.process_time() - started
        count = sum(type(value).__name__ == "DAG" for value in names.values())
        os.write(send, f"{seconds} {count}".encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as answer:
        seconds_text, count_text = answer.read().split()
    os.waitpid(child, 0)
    return float(seconds_text), int(count_text)


def main() -> int:
    """Measure every file and print a table; return 1 when a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specs", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        write_specs(home / "models", options.specs)
        os.environ |= {
            "FACTORY_MODELS_DIR": str(home / "models"),
            "FACTORY_HOME": str(home / "factory"),
            "AIRFLOW_HOME": str(home / "airflow"),
        }
        sys.path.insert(0, str(ROOT))
        return report(options.specs, options.repeats)


def report(specs: int, repeats: int) -> int:
    """Print what each file takes, and return the exit code: 1 when a bound is broken."""
    files = sorted(file for file in (ROOT / "dags").glob("*.py") if file.stem != "spec_errors")
    importlib.import_module("airflow.dag_processing.dagbag")
    importlib.import_module("airflow.sdk.execution_time.task_runner")
    print(f"{specs} specs, seconds of CPU, median of {repeats}")
    print(f"{'file':32} {'DAGs':>5} {'all (s)':>8} {'one (s)':>8} {'ratio':>7}")
    held = True
    for file in files:
        every = [parse(file, None) for _ in range(repeats)]
        one = [parse(file, f"model_0000.{file.stem}") for _ in range(repeats)]
        assert all(count == 1 for _, count in one), f"{file.name} built more than the DAG that was asked for"
        all_seconds, one_seconds = (statistics.median(seconds for seconds, _ in runs) for runs in (every, one))
        held &= all_seconds < FILE_SECONDS and one_seconds < TASK_SECONDS
        ratio = all_seconds / one_seconds
        print(f"{file.name:32} {every[0][1]:>5} {all_seconds:>8.3f} {one_seconds:>8.3f} {ratio:>7.0f}")
    print(f"bounds: a file < {FILE_SECONDS:g} s, one DAG < {TASK_SECONDS:g} s: {'held' if held else 'BROKEN'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
