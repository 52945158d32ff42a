"""The compose file, held against Docker Compose itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.docker.test_compose import COMPOSE, FOLDER, template_names


@pytest.fixture
def environment_file(tmp_path: Path) -> Path:
    """Return an environment file as `make up` makes it."""
    file = tmp_path / "env"
    subprocess.run(["python3", str(FOLDER / "environment.py"), str(file)], check=True, capture_output=True)
    return file


@pytest.mark.parametrize("override", [(), ("docker-compose.local-images.yml",)], ids=["shipped", "local images"])
def test_docker_compose_accepts_it(environment_file: Path, override: tuple[str, ...]) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    files = [word for name in (COMPOSE.name, *override) for word in ("-f", str(FOLDER / name))]
    command = [
        "docker",
        "compose",
        "--env-file",
        str(environment_file),
        *files,
        "--profile",
        "monitoring",
        "config",
        "--services",
    ]
    own = {name: value for name, value in os.environ.items() if name not in template_names()}
    done = subprocess.run(command, capture_output=True, text=True, env=own)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "no variable is missing"
    assert ("grafana" in done.stdout.split()) is not bool(override), "what cannot be had is left out"
