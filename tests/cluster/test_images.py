"""Every image: built from this checkout, small, without traces of its build, and at work without root or a writable root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

import pytest

from include.specs import ROOT

TAG = "test"
MOST_MB = {"ml": 1700, "airflow": 2200, "feast": 1700, "mlflow": 900, "serving": 600, "seldon": 350}
"""Bounds of the sizes, in megabytes; those of airflow and feast include the layers of ml, which they share."""
CONTAINED = ["--read-only", "--user", "12345:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
pytestmark = pytest.mark.timeout(1800)


def docker(*arguments: str) -> str:
    """Run docker and return what it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def name(image: str) -> str:
    """Return an image's name under the tests' tag."""
    return f"model-factory/{image}:{TAG}"


@pytest.fixture(scope="module", params=MOST_MB)
def image(request: pytest.FixtureRequest) -> str:
    """Return an image's short name, built from this checkout; `ml` first, as others stand on it."""
    if not (os.environ.get("FACTORY_TEST_DOCKER") or os.environ.get("DOCKER_HOST")):
        pytest.skip("set FACTORY_TEST_DOCKER=1 or DOCKER_HOST to build and run images")
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers")
    short = str(request.param)
    for needed in (["ml"] if short in ("airflow", "feast") else []) + [short]:
        subprocess.run(["make", f"image-{needed}", f"TAG={TAG}"], cwd=ROOT, check=True, capture_output=True)
    return short


def run(image: str, *command: str, options: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in an image, with nothing that it is not promised to need."""
    line = [
        "docker",
        "run",
        "--rm",
        *CONTAINED,
        *(options or []),
        "--entrypoint",
        command[0],
        name(image),
        *command[1:],
    ]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_it_is_small_says_what_it_is_and_is_not_root(image: str) -> None:
    described = json.loads(docker("image", "inspect", name(image)))[0]
    assert described["Size"] < MOST_MB[image] * 10**6
    assert described["Config"]["User"] == "10001:0"
    labels = described["Config"]["Labels"]
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert labels["org.opencontainers.image.title"]
    assert labels["org.opencontainers.image.revision"] == revision


def test_its_build_left_nothing_behind(image: str) -> None:
    found = run(
        image, "sh", "-c",
        "ls -d /root/.cache/* /opt/uv /tmp/* /run/secrets/* /var/lib/apt/lists/*_* /opt/*/bin/pip* 2>/dev/null; true",
    )  # fmt: skip
    assert found.stdout == "", found.stdout
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", name(image))
    environment = json.loads(docker("image", "inspect", name(image)))[0]["Config"]["Env"]
    for word in ("PASSWORD=", "_TOKEN=", "SECRET_KEY=", "PIP_INDEX_URL=http", "://user:"):
        assert word not in history
        assert not [line for line in environment if word in line]


def test_its_libraries_can_be_listed_for_a_bill_of_materials(image: str) -> None:
    listing = "import importlib.metadata as m; print(len({d.name for d in m.distributions()}))"
    assert int(run(image, "python", "-c", listing).stdout) > 20


def test_nobody_may_write_but_in_the_home(image: str) -> None:
    tried = run(image, "sh", "-c", "touch /var/lib/factory/mine && echo home; touch /app/mine || echo refused")
    assert tried.stdout.split() == ["home", "refused"]


def test_it_does_its_work(image: str) -> None:
    WORK[image]()


def steps_run() -> None:
    """A spec is held against its data, and a step says which service it misses."""
    checked = run("ml", "python", "-m", "include.steps.check", "breast_cancer", options=["--network", "none"])
    assert "569 rows" in checked.stdout, checked.stderr
    call = ["python", "-m", "include.steps", "snapshot", "--model", "breast_cancer", "--run", "test"]
    lonely = run("ml", *call, options=["--network", "none", "--env", "FACTORY_SERVICE_RETRY_SECONDS=1"])
    assert lonely.returncode == 1
    assert "failed: MLflow at http://127.0.0.1:5500 did not answer" in lonely.stderr
    absent = run("ml", "python", "-c", "import airflow")
    assert "No module named 'airflow'" in absent.stderr
    assert run("ml", "ls", "/app").stdout.split() == ["config", "feast", "include", "requirements.txt"]


def airflow_parses() -> None:
    """Airflow finds every pipeline of every shipped model, without an import error."""
    listing = (
        "from airflow.dag_processing.dagbag import DagBag; bag = DagBag('/app/dags');"
        "print(len(bag.dags), bag.import_errors)"
    )
    options = ["--env", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:////var/lib/factory/airflow.db"]
    migrated = run("airflow", "sh", "-c", f'airflow db migrate >/dev/null && python -c "{listing}"', options=options)
    found, errors = migrated.stdout.strip().splitlines()[-1].split(" ", 1)
    assert errors == "{}", migrated.stdout
    assert int(found) >= 15
    refused = run("airflow", "/opt/airflow/airflow", "scheduler")
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in refused.stderr


def feast_serves() -> None:
    """The feature server gets healthy on the embedded stores."""
    gets_healthy("feast", "serve")


def mlflow_serves() -> None:
    """The server asks for a password, and gets healthy."""
    home = "sqlite:////var/lib/factory"
    settings = {
        "MLFLOW_BACKEND_STORE_URI": f"{home}/mlflow.db", "MLFLOW_ARTIFACTS_DESTINATION": "/var/lib/factory/artifacts",
        "MLFLOW_AUTH_DATABASE_URI": f"{home}/auth.db", "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "a-long-password", "MLFLOW_FLASK_SERVER_SECRET_KEY": "key",
    }  # fmt: skip
    ask = (
        "/opt/factory/bin/python /app/answers.py http://127.0.0.1:5500/api/2.0/mlflow/experiments/search?max_results=1"
    )
    said = gets_healthy("mlflow", settings=settings, ask=ask)
    assert "401" in said


def serving_is_tested_elsewhere() -> None:
    """test_serving_image.py starts the model server; here it says what it takes."""
    assert "--port" in run("serving", "python", "-m", "include.serving", "--help").stdout


def seldon_starts() -> None:
    """The wrapper finds its class, and waits for the model server beside it."""
    assert "--service-type" in run("seldon", "seldon-core-microservice", "--help").stdout
    found = run("seldon", "python", "-c", "from ModelFactory import ModelFactory; print(ModelFactory.__name__)")
    assert found.stdout.strip() == "ModelFactory", found.stderr


def gets_healthy(image: str, *command: str, settings: dict[str, str] | None = None, ask: str = "") -> str:
    """Start a container, wait until its own health check is content, ask it something and stop it."""
    given = [word for pair in (settings or {}).items() for word in ("--env", "=".join(pair))]
    container = docker("run", "--detach", *CONTAINED, *given, name(image), *command)
    try:
        began = time.monotonic()
        while docker("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
            assert time.monotonic() - began < 240, docker("logs", "--tail", "40", container)
            time.sleep(1)
        if not ask:
            return ""
        done = subprocess.run(["docker", "exec", container, *ask.split()], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr
    finally:
        docker("rm", "--force", "--volumes", container)


WORK = {
    "ml": steps_run, "airflow": airflow_parses, "feast": feast_serves, "mlflow": mlflow_serves,
    "serving": serving_is_tested_elsewhere, "seldon": seldon_starts,
}  # fmt: skip
