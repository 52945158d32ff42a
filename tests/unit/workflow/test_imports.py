"""Reading a DAG file costs little: no machine learning is imported, and nothing but config/ is opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.specs.loader import ROOT

HEAVY = {
    *(
        "catboost",
        "evidently",
        "feast",
        "great_expectations",
        "kubernetes",
        "lightgbm",
        "matplotlib",
        "mlflow",
        "numpy",
    ),
    *("onnxruntime", "optuna", "pandas", "pyarrow", "scipy", "shap", "skops", "sklearn", "torch", "xgboost"),
}
FILES = sorted((ROOT / "dags").glob("*.py"))
PARSE = """
import json, os, runpy, sys
import airflow.sdk, airflow.triggers.base
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
for file in sys.argv[1:]:
    runpy.run_path(file)
print(json.dumps({"modules": sorted(sys.modules), "opened": opened}))
"""


@pytest.fixture(scope="module")
def parsed():
    """Parse every DAG file and the plugin in one fresh process."""
    files = [*FILES, ROOT / "plugins" / "factory_plugin.py"]
    answer = subprocess.run(
        [sys.executable, "-c", PARSE, *map(str, files)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def test_no_machine_learning_is_imported(parsed):
    assert len(FILES) == 7
    assert not HEAVY & {name.partition(".")[0] for name in parsed["modules"]}


def test_the_page_is_not_imported_before_somebody_looks_at_it(parsed):
    assert "include.workflow.page.app" not in parsed["modules"]


def test_of_the_project_only_code_and_config_are_opened(parsed):
    inside = [name for name in parsed["opened"] if name.startswith(str(ROOT)) and ".venv" not in name]
    other = [os.path.relpath(name, ROOT) for name in inside if not name.endswith((".py", ".pyc"))]
    assert other
    assert all(name.startswith("config" + os.sep) or "__pycache__" in name for name in other)


@pytest.mark.parametrize(
    ("runtime", "command", "ahead"),
    [
        ("kubernetes", "scheduler", True),
        ("kubernetes", "dag-processor", True),
        ("kubernetes", "triggerer", False),
        ("process", "scheduler", False),
    ],
)
def test_what_forks_imports_the_clients_of_kubernetes_ahead_and_nothing_of_ours(runtime, command, ahead, tmp_path):
    told = "import sys, json; import airflow; print(json.dumps(sorted(sys.modules)))"
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "FACTORY_RUNTIME": runtime,
    }
    answer = subprocess.run(
        [sys.executable, "-c", told, command], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    modules = json.loads(answer.stdout.splitlines()[-1])
    assert ("kubernetes.client" in modules) == ahead
    assert not [name for name in modules if name.split(".")[0] == "include"]
