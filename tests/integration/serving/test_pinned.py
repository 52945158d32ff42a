"""A server that serves one version alone, as a pod of a cluster target does."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from include.specs import Platform
from include.store.keys import serving_key
from include.store.prediction_log import PredictionLog
from include.store.routes import Route, RouteStore, Variant
from tests.integration.conftest import free_port, running
from tests.model_packages import ROW, churn, put


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Start a server pinned to version 2 beside a routing table that says version 1; give its URL and its home."""
    home = tmp_path / "home"
    for version in (1, 2):
        put(home, "churn", version, churn())
    RouteStore(Platform(home=home)).put(Route("churn", (Variant("champion", "1", 100),)))
    monkeypatch.setenv("FACTORY_HOME", str(home))
    monkeypatch.setenv("FACTORY_SERVING__PINNED", "churn/2")
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "include.serving", "--port", url.rpartition(":")[2]]
    with running(command, f"{url}/health/ready", tmp_path / "server.log"):
        yield url, home


def test_it_answers_with_its_version_whatever_the_routes_say(pinned):
    url, home = pinned
    answer = httpx.post(f"{url}/v1/models/churn/predict", json={"features": ROW}).json()
    assert (answer["version"], answer["variant"]) == ("2", "v2")
    tensors = [{"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]} for name, kind in
               (("age", "FP64"), ("vip", "BOOL"), ("plan", "BYTES"), ("seen", "BYTES"))]  # fmt: skip
    assert httpx.post(f"{url}/v2/models/churn/infer", json={"inputs": tensors}).status_code == 200
    scraped = httpx.get(f"{url}/metrics").text
    assert 'factory_predictions_total{model="churn",outcome="answered",variant="v2",version="2"} 2.0' in scraped
    positives = 'factory_positive_predictions_total{model="churn",variant="v2",version="2"}'
    assert positives in scraped
    headers = {"X-API-Key": serving_key(Platform(home=home))}
    body = {"variants": [{"name": "champion", "version": "1", "weight": 100}]}
    for refused in (
        httpx.put(f"{url}/v1/routes/churn", json=body, headers=headers),
        httpx.delete(f"{url}/v1/routes/churn", headers=headers),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "pinned")
    assert RouteStore(Platform(home=home)).get("churn").variants[0].version == "1"


def test_what_it_answers_is_logged_under_its_version(pinned):
    url, home = pinned
    for number in range(3):
        httpx.post(f"{url}/v1/models/churn/predict", json={"id": f"row-{number}", "features": ROW}).raise_for_status()
    log = PredictionLog(Platform(home=home))
    for _ in range(100):
        if len(frame := log.frame("churn")) == 3:
            break
        httpx.get(f"{url}/health", timeout=5)
    assert set(frame["version"]) == {"2"}


def test_a_version_that_cannot_be_had_ends_the_server_with_the_reason(tmp_path, monkeypatch, mlflow_server):
    monkeypatch.setenv("FACTORY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FACTORY_MLFLOW_URI", mlflow_server)
    monkeypatch.setenv("FACTORY_SERVING__PINNED", "nobody/9")
    command = [sys.executable, "-m", "include.serving", "--port", str(free_port())]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 3
    assert "'nobody' has no version 9 in the registry" in ended.stderr


def test_a_setting_that_names_no_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FACTORY_HOME", str(tmp_path))
    monkeypatch.setenv("FACTORY_SERVING__PINNED", "churn")
    ended = subprocess.run(
        [sys.executable, "-m", "include.serving"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, "FACTORY_SERVING__PINNED" in ended.stderr) == (1, True)
