"""The model server's image, run as it would be run: no root, a read-only root file system, stopped by SIGTERM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from include.specs import ROOT, Platform
from include.store.keys import serving_key
from include.store.routes import Route, RouteStore, Variant
from tests.integration.conftest import free_port
from tests.model_packages import ROW, churn, put

IMAGE = "model-factory/serving:test"
MOST_MB = 600
pytestmark = pytest.mark.timeout(1200)


def docker(*arguments: str) -> str:
    """Run docker and return what it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> str:
    """Return the image, built from this checkout."""
    if not (os.environ.get("FACTORY_TEST_DOCKER") or os.environ.get("DOCKER_HOST")):
        pytest.skip("set FACTORY_TEST_DOCKER=1 or DOCKER_HOST to build and run images")
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers")
    subprocess.run(["make", "image-serving", f"IMAGE={IMAGE}"], cwd=ROOT, check=True)
    return IMAGE


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a routed model that anybody may write to."""
    home = tmp_path / "home"
    put(home, "churn", 1, churn())
    RouteStore(Platform(home=home)).put(Route("churn", (Variant("champion", "1", 100),)))
    serving_key(Platform(home=home))
    subprocess.run(["chmod", "-R", "a+rwX", str(home)], check=True)
    return home


@pytest.fixture
def container(image: str, home: Path) -> Iterator[tuple[str, str]]:
    """Return a running container, and the URL of its server."""
    port = free_port()
    volume, published = f"{home}:/var/lib/factory", f"127.0.0.1:{port}:8500"
    options = ["--read-only", "--user", "12345:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    name = docker("run", "--detach", *options, "--volume", volume, "--publish", published, image)
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        docker("rm", "--force", "--volumes", name)


def test_it_is_small_and_says_what_it_is(image: str) -> None:
    described = json.loads(docker("image", "inspect", image))[0]
    assert described["Size"] < MOST_MB * 10**6
    assert described["Config"]["User"] == "10001:0"
    assert described["Config"]["Labels"]["org.opencontainers.image.title"]
    house = docker("run", "--rm", "--entrypoint", "ls", image, "/app/include").split()
    assert not {"steps", "workflow", "automl", "data", "release", "monitoring"} & set(house)


def test_it_answers_gets_healthy_and_ends_when_it_is_told_to(container: tuple[str, str], home: Path) -> None:
    name, url = container
    started = time.monotonic()
    while (answer := _asked(url, "before")) is None:
        assert time.monotonic() - started < 120, docker("logs", name)
        time.sleep(0.05)
    assert answer["version"] == "1"
    while docker("inspect", "--format", "{{.State.Health.Status}}", name) != "healthy":
        assert time.monotonic() - started < 120, docker("logs", name)
        time.sleep(1)
    docker("stop", "--time", "30", name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name) == "0", docker("logs", name)
    assert list((home / "spool").glob("*.jsonl")) == [], "what was answered is in the database"


def _asked(url: str, name: str) -> dict[str, object] | None:
    try:
        response = httpx.post(f"{url}/v1/models/churn/predict", json={"id": name, "features": ROW}, trust_env=False)
    except httpx.TransportError:
        return None
    return response.json() if response.status_code == 200 else None
