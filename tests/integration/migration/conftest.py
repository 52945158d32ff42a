"""An embedded factory that has lived a little and is stopped, and the real stores that it is to move to."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import pytest

from include.local.stack import Stack
from include.specs import load_platform
from tests.integration.conftest import free_port, running
from tests.integration.migration.life import live, write_specs
from tests.integration.s3 import KEYS, moto_running
from tests.integration.stores import Stores, clean_environment


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Put the environment back, into which a move takes its target's settings."""
    with patch.dict(os.environ):
        yield
    load_platform.cache_clear()


@dataclass(frozen=True)
class Embedded:
    """The embedded factory's settings, and the API key that its clients have."""

    home: Path
    settings: dict[str, str]
    key: str = ""

    def use(self, monkeypatch: pytest.MonkeyPatch, **further: str) -> None:
        """Let this process, and those that it starts, be this factory's."""
        clean_environment(monkeypatch)
        for name, value in {**self.settings, **further}.items():
            monkeypatch.setenv(name, value)
        load_platform.cache_clear()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Return a factory whose steps ran against the MLflow server of the embedded stack, which is stopped now."""
    folder = tmp_path_factory.mktemp("embedded")
    data = folder / "home" / "feature_data"
    write_specs(folder / "models", data)
    made = Embedded(
        folder / "home",
        {
            "FACTORY_HOME": str(folder / "home"),
            "FACTORY_MODELS_DIR": str(folder / "models"),
            "FACTORY_MLFLOW_URI": f"http://127.0.0.1:{free_port()}",
            "FACTORY_SERVICE_RETRY_SECONDS": "20",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        made.use(monkeypatch)
        platform = load_platform()
        platform.home.mkdir(parents=True)
        command = shlex.split(Stack(platform).programs()["mlflow"])
        with running(command, f"{platform.mlflow_uri}/health", folder / "mlflow.log", seconds=240):
            key = live(platform, data)
    load_platform.cache_clear()
    yield replace(made, key=key)


@pytest.fixture(scope="module")
def stores(postgres_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Return the real stores, which hold nothing yet."""
    folder = tmp_path_factory.mktemp("stores")
    with moto_running(free_port(), folder) as endpoint:
        found = Stores(postgres_uri, endpoint, KEYS, folder)
        try:
            yield found
        finally:
            found.close()
