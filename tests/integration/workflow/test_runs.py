"""How runs end in Airflow: what is green, what is skipped and what is red, by Airflow's own scheduling rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.specs.loader import ROOT

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

SPEC = """\
name: shop
owner: team@example.com
data: {source: {type: parquet, path: rows.parquet}}
problem: {type: binary, target: bought}
release: {steps: [50, 100]}
"""
SCENARIOS = {
    "trained": {"pipeline": "automl_pipeline", "outcomes": {}},
    "rejected": {"pipeline": "automl_pipeline", "outcomes": {"snapshot": "rejected"}},
    "refused": {"pipeline": "model_retraining", "outcomes": {"gate": "rejected"}},
    "broken": {"pipeline": "model_retraining", "outcomes": {"search": "failed"}},
    "killed": {"pipeline": "model_monitoring", "outcomes": {"monitor": "killed"}},
    "released": {"pipeline": "model_deployment", "outcomes": {}},
    "unhealthy": {"pipeline": "model_deployment", "outcomes": {"shift_100": "rejected"}},
    "unplanned": {"pipeline": "model_deployment", "outcomes": {"plan_release": "rejected"}},
    "stuck": {"pipeline": "model_deployment", "outcomes": {"promote": "failed"}},
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the environment of an Airflow of these tests' own, with its database made."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "models").mkdir()
    (home / "models" / "shop.yaml").write_text(SPEC)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACTORY_", "AIRFLOW"))}
    environment = kept | {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "FACTORY_HOME": str(home / "factory"),
        "FACTORY_MODELS_DIR": str(home / "models"),
        "FACTORY_MLFLOW_URI": "http://127.0.0.1:9",
    }
    (home / "passwords.json").write_text('{"ada": "lovelace"}')
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment, cwd=home, check=True, capture_output=True)
    yield environment


@pytest.fixture(scope="module")
def ended(airflow: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Run every scenario and return the states."""
    answer = tmp_path_factory.mktemp("answer") / "ended.json"
    command = [sys.executable, str(Path(__file__).with_name("runs.py")), json.dumps(SCENARIOS), str(answer)]
    done = subprocess.run(command, env=airflow, cwd=ROOT, capture_output=True, text=True)
    assert answer.is_file(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(answer.read_text())


def states(run: dict[str, str], *tasks: str) -> list[str]:
    return [run[task] for task in tasks]


def test_a_run_that_goes_well_is_registered(ended):
    run = ended["trained"]
    assert states(run, "run", "register", "registered", "rejected") == ["success", "success", "success", "skipped"]


@pytest.mark.parametrize("name", ["trained", "refused"])
def test_a_tasks_button_leads_where_the_step_says_even_when_it_rejects(ended, name):
    assert ended[name]["link"] == "http://factory/gate"


@pytest.mark.parametrize("name", ["rejected", "refused"])
def test_a_rejected_run_ends_well_says_so_and_registers_nothing(ended, name):
    run = ended[name]
    assert states(run, "run", "rejected") == ["success", "success"]
    assert states(run, "gate", "register", "registered") == ["skipped", "skipped", "skipped"]


def test_a_retraining_is_closed_however_it_ended_and_a_failure_stays_one(ended):
    assert ended["refused"]["close_retraining"] == "success"
    run = ended["broken"]
    assert states(run, "run", "search", "registered", "rejected") == ["failed", "failed", "upstream_failed", "skipped"]
    assert run["close_retraining"] == "success"


def test_a_killed_step_fails_its_run(ended):
    assert states(ended["killed"], "run", "monitor", "decide") == ["failed", "failed", "upstream_failed"]


def test_a_release_that_goes_well_is_not_rolled_back(ended):
    run = ended["released"]
    assert states(run, "run", "released", "rejected", "rollback") == ["success", "success", "skipped", "skipped"]


def test_an_unhealthy_challenger_is_rolled_back_and_its_run_ends_well(ended):
    run = ended["unhealthy"]
    assert states(run, "run", "shift_50", "shift_100", "promote", "released") == [
        *("success", "success", "skipped", "skipped", "skipped")
    ]
    assert states(run, "rejected", "rollback") == ["success", "success"]


def test_a_release_that_never_began_is_not_rolled_back(ended):
    run = ended["unplanned"]
    assert states(run, "run", "promote", "rejected", "rollback") == ["success", "skipped", "success", "skipped"]


def test_a_release_that_fails_is_rolled_back_and_stays_failed(ended):
    run = ended["stuck"]
    assert states(run, "run", "promote", "released", "rollback") == ["failed", "failed", "upstream_failed", "success"]
    assert run["rejected"] == "skipped"


ASK = """
import json, sys
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient
with TestClient(create_app("core"), base_url="http://127.0.0.1:8080", follow_redirects=False) as client:
    stranger = client.get("/factory/models/shop")
    forged = client.get("/factory/", headers={"Authorization": "Bearer forged"})
    token = client.post("/auth/token", json={"username": "ada", "password": "lovelace"}).json()["access_token"]
    known = client.get("/factory/", headers={"Authorization": f"Bearer {token}"})
    client.cookies.set("_token", token)
    cookie = client.get("/factory/models/shop")
    answer = {
        "stranger": [stranger.status_code, stranger.headers.get("location")],
        "forged": forged.status_code, "known": [known.status_code, "shop" in known.text], "cookie": cookie.status_code,
    }
print("ANSWER" + json.dumps(answer))
"""


def test_the_page_is_behind_airflows_login(airflow):
    done = subprocess.run([sys.executable, "-c", ASK], env=airflow, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    answer = json.loads(lines[0].removeprefix("ANSWER"))
    status, location = answer["stranger"]
    assert status == 307
    assert "/auth/login" in location
    assert "factory%2Fmodels%2Fshop" in location
    assert answer["forged"] in {401, 403}
    assert answer["known"] == [200, True]
    assert answer["cookie"] == 200
