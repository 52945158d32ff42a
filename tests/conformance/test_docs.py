"""The Python examples of docs/protocols.md run as they stand, each where its library is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
BLOCKS = {
    library: next(
        block
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
        if f"from {library}" in block or f"import {library}." in block
    )
    for library in ("tritonclient", "kserve", "mlserver", "mlflow")
}


@pytest.mark.parametrize("library", [name for name in BLOCKS if find_spec(name)])
def test_the_example_runs(library: str) -> None:
    port = os.environ["CONFORMANCE_URL"].rpartition(":")[2]
    code = BLOCKS[library].replace("8500", port)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
