"""The compose stack, really started: every part healthy, closed to strangers, and a model's life that outlives a kill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from include.specs import ROOT
from tests.integration.conftest import free_port

FILES = "docker/docker-compose.yml:docker/docker-compose.local-images.yml"
PORTS = ("AIRFLOW", "MLFLOW", "SERVING", "FEAST", "FEAST_UI", "PROMETHEUS", "ALERTMANAGER")
IMAGES = ("ml", "airflow", "feast", "mlflow", "serving")
TAG = "test"
CLIENT = httpx.Client(timeout=60, trust_env=False)
pytestmark = pytest.mark.timeout(3600)


@dataclass(frozen=True)
class ComposeStack:
    """The stack that runs: its settings, and how it is spoken to."""

    environment: dict[str, str]
    settings: dict[str, str]

    def url(self, service: str) -> str:
        """Return the published address of a service."""
        return f"http://127.0.0.1:{self.settings[f'{service}_PORT']}"

    def compose(self, *words: str) -> str:
        """Run docker compose and return what it prints."""
        command = ["docker", "compose", "--env-file", self.environment["ENV_FILE"], *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def containers(self) -> dict[str, dict[str, str]]:
        """Return every container by its service."""
        lines = self.compose("--profile", "monitoring", "ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: one for one in map(json.loads, lines)}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """Return the stack under a project name and ports of its own; everything is removed at the end."""
    if not (os.environ.get("FACTORY_TEST_DOCKER") or os.environ.get("DOCKER_HOST")):
        pytest.skip("set FACTORY_TEST_DOCKER=1 or DOCKER_HOST to start the compose stack")
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "ls"], capture_output=True).returncode:
        pytest.skip("no Docker engine with Compose answers")
    file = tmp_path_factory.mktemp("compose") / "env"
    file.write_text("".join(f"{name}_PORT={free_port()}\n" for name in PORTS))
    subprocess.run([sys.executable, "docker/environment.py", str(file)], cwd=ROOT, check=True, capture_output=True)
    settings = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in settings},
        "COMPOSE_FILE": FILES, "COMPOSE_PROJECT_NAME": f"factory-test-{os.getpid()}", "ENV_FILE": str(file), "TAG": TAG,
    }  # fmt: skip
    for image in IMAGES:  # of this checkout: `make up` takes what is there
        subprocess.run(["make", f"image-{image}"], cwd=ROOT, env=environment, check=True, capture_output=True)
    running = ComposeStack(environment, settings)
    try:
        up = subprocess.run(["make", "up"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert up.returncode == 0, up.stdout[-2000:] + up.stderr[-4000:]
        yield running
    finally:
        subprocess.run(["make", "down", "VOLUMES=1"], cwd=ROOT, env=environment, capture_output=True, check=False)


def test_every_part_is_healthy_and_the_jobs_are_done(stack: ComposeStack) -> None:
    found = stack.containers()
    jobs = {"prepare", "airflow-migrate"}
    assert {name for name, one in found.items() if one["Health"] == "healthy"} == set(found) - jobs
    assert len(found) == 15
    assert all(found[job]["State"] == "exited" and found[job]["ExitCode"] == 0 for job in jobs)


def test_strangers_are_refused(stack: ComposeStack) -> None:
    experiments = f"{stack.url('MLFLOW')}/api/2.0/mlflow/experiments/search?max_results=1"
    assert CLIENT.get(experiments).status_code == 401
    known = CLIENT.get(experiments, auth=("admin", stack.settings["MLFLOW_PASSWORD"]))
    assert known.status_code == 200
    assert CLIENT.get(f"{stack.url('AIRFLOW')}/api/v2/dags").status_code == 401
    wrong = {"username": "admin", "password": "wrong"}
    assert CLIENT.post(f"{stack.url('AIRFLOW')}/auth/token", json=wrong).status_code == 401
    refused = stack.compose("exec", "-T", "redis", "sh", "-c", "REDISCLI_AUTH= redis-cli ping 2>&1 || true")
    assert "NOAUTH" in refused


def test_no_password_is_on_a_command_line(stack: ComposeStack) -> None:
    listed = stack.compose("--profile", "monitoring", "top")
    secrets = [value for name, value in stack.settings.items() if not name.endswith("_PORT")]
    assert len(secrets) >= 15
    assert not [value for value in secrets if value in listed]


def test_prometheus_sees_the_model_server(stack: ComposeStack) -> None:
    deadline = time.monotonic() + 60
    while True:
        targets = CLIENT.get(f"{stack.url('PROMETHEUS')}/api/v1/targets").json()["data"]["activeTargets"]
        up = {target["labels"]["job"] for target in targets if target["health"] == "up"}
        if "model-server" in up:
            break
        assert time.monotonic() < deadline, targets
        time.sleep(2)
    rules = CLIENT.get(f"{stack.url('PROMETHEUS')}/api/v1/rules").json()["data"]["groups"]
    assert rules


def test_a_life_outlives_killed_containers(stack: ComposeStack, tmp_path: Path) -> None:
    log = tmp_path / "life.log"
    with log.open("w") as output:
        life = subprocess.Popen(
            ["make", "up-life", "MODEL=churn"], cwd=ROOT, env=stack.environment, stdout=output, stderr=output
        )
        for service, when in (("airflow-scheduler", "Training"), ("model-server", "Serving")):
            while when not in log.read_text():
                assert life.poll() is None, log.read_text()[-3000:]
                time.sleep(1)
            time.sleep(10)
            stack.compose("kill", "--signal", "SIGKILL", service)
            stack.compose("up", "--detach", "--no-deps", service)
        life.wait(timeout=1800)
    text = log.read_text()
    assert life.returncode == 0, text[-3000:]
    assert "is the new champion" in text, text[-3000:]
    answered = CLIENT.get(f"{stack.url('SERVING')}/models")
    assert answered.json()["models"][0]["name"] == "churn"
