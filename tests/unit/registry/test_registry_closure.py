"""A version carries the code that loads it: all of it, and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from include.registry.closure import needed_files
from include.registry.lineage import LIBRARY

MODULES = ["include.registry.pyfunc", "include.features.plan", "numpy", "sklearn.pipeline"]


def test_it_is_small_and_of_the_house():
    names = [str(file.relative_to(LIBRARY)) for file in needed_files(MODULES)]
    assert {"__init__.py", "features/plan.py", "features/__init__.py", "store/packages.py"} <= set(names)
    assert not [name for name in names if name.startswith(("steps", "workflow", "serving", "release", "monitoring"))]
    assert "store/prediction_log.py" not in names


def test_it_can_be_imported_alone(tmp_path):
    for file in needed_files(MODULES):
        copy = tmp_path / "include" / file.relative_to(LIBRARY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    script = "import include.features.plan as plan, include.registry.pyfunc; print(plan.__file__)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path))
