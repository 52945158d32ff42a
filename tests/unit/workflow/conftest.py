"""An Airflow home of its own for these tests, set before Airflow is imported, and specs to build DAGs from."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from include.specs import Platform

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="factory-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

SPEC = """\
name: {name}
owner: team@example.com
description: Who buys.
tags: [shop]
data: {{source: {source}, time: at}}
problem: {{type: binary, target: bought}}
{more}
"""
PARQUET = "{type: parquet, path: data/rows.parquet}"
FEAST = "{type: feast, service: shop, entities: data/entities.parquet}"


@pytest.fixture
def write_spec(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a writer of specs into a model folder of this test's own."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(folder))
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", raising=False)

    def write(name: str, source: str = PARQUET, more: str = "") -> Path:
        path = folder / f"{name}.yaml"
        path.write_text(SPEC.format(name=name, source=source, more=more), encoding="utf-8")
        return path

    return write
