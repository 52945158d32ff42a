"""Real servers for integration tests, started once a session on free ports of the loopback interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from include.specs import Platform, load_platform
from tests.integration.postgres import postgres_running


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], ready: str, log: Path, seconds: float = 120) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; enter the block when the URL ``ready`` answers 200."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            deadline = time.monotonic() + seconds
            while not _answers(ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.2)
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def mlflow_running(folder: Path, port: int) -> Iterator[str]:
    """Run an MLflow server that keeps its bytes in ``folder``; give its URI."""
    # beside the interpreter, as the user's PATH need not hold the environment
    command = [
        str(Path(sys.executable).parent / "mlflow"),
        *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with running(command, f"http://127.0.0.1:{port}/health", folder / f"server-{port}.log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URI of a real MLflow server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        with mlflow_running(tmp_path_factory.mktemp("mlflow"), free_port()) as uri:
            yield uri


@pytest.fixture
def mlflow_platform(platform: Platform, mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Return a fresh platform that uses the real MLflow server. Give models names of their own: the server is shared."""
    monkeypatch.setenv("FACTORY_MLFLOW_URI", mlflow_server)
    load_platform.cache_clear()
    return load_platform()


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """Return the URI, with its password, of a real PostgreSQL server that holds nothing of the factory's yet."""
    with postgres_running(free_port()) as uri:
        yield uri
