"""One embedded stack for the whole session, with a home and ports of its own, and two models on real data."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.specs import ROOT, Platform, load_platform

TELCO = """
spec_version: 1
name: telco
description: Which customers leave (real data).
owner: growth@example.com
data:
  source: {{path: {data}/telco_churn.csv}}
  id: Customer ID
problem: {{type: binary, target: Churn, positive: "Yes"}}
search: {{budget: 20s, folds: 3}}
"""
CALIFORNIA = """
spec_version: 1
name: california
description: What a house is worth (real data).
owner: housing@example.com
data:
  source: {{path: {data}/california_housing.csv}}
problem: {{type: regression, target: median_house_value}}
search: {{budget: 20s, folds: 3}}
"""


@dataclass(frozen=True)
class Stack:
    """The stack under test: its platform, its environment, and how a person calls it."""

    platform: Platform
    environment: dict[str, str]
    models: Path

    def command(self, *words: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """Run ``python -m include.local …`` as make does."""
        return subprocess.run(
            [sys.executable, "-m", "include.local", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return an embedded stack that is not started yet; it is stopped at the end."""
    home = tmp_path_factory.mktemp("e2e")
    models = home / "models"
    shutil.copytree(ROOT / "config" / "models", models)
    if data := os.environ.get("FACTORY_TEST_DATA"):
        (models / "telco.yaml").write_text(TELCO.format(data=data))
        (models / "california.yaml").write_text(CALIFORNIA.format(data=data))
    settings = {
        "FACTORY_HOME": str(home / "home"),
        "FACTORY_MODELS_DIR": str(models),
        "FACTORY_AIRFLOW_URL": f"http://127.0.0.1:{free_port()}",
        "FACTORY_MLFLOW_URI": f"http://127.0.0.1:{free_port()}",
        "FACTORY_SERVING_URL": f"http://127.0.0.1:{free_port()}",
        "COLUMNS": "180",
    }
    os.environ.update(settings)
    load_platform.cache_clear()
    made = Stack(load_platform(), dict(os.environ), models)
    yield made
    made.command("stop")
