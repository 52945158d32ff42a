"""The server and a real registry: versions are fetched when a route asks for them, champions are served unasked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from include.registry.models import Registry
from include.registry.tracking import Tracking
from include.specs import Platform, load_spec
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, put


@pytest.fixture
def model(mlflow_platform: Platform, tmp_path: Path) -> str:
    """Return a registered model with versions 1 (champion) and 2, none of them in the server's cache."""
    spec = load_spec("churn").model_copy(update={"name": f"m{uuid.uuid4().hex[:12]}"})
    registry, tracking = Registry(mlflow_platform), Tracking(mlflow_platform, spec)
    for number in (1, 2):
        folder = put(tmp_path / "trained", spec.name, number, churn(number))
        run = f"automl_pipeline.{number}"
        version = registry.register(
            spec.name, folder, run, tracking.ensure_run(run, "automl_pipeline"), {}, "What it is.", "# Card\n"
        )
        if number == 1:
            registry.set_alias(version, "champion")
    return spec.name


def test_the_registry_is_needed_once(
    model: str, serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / f"{model}.yaml").write_text("only the file's name matters to the server")
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(specs))
    server = serve().start()
    deadline = time.monotonic() + 90
    while (answer := server.predict(model, ROW)).status_code != 200:
        assert answer.status_code in (404, 503), answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.3)
    assert (answer.json()["version"], answer.json()["variant"]) == ("1", "champion")
    package = churn(1)
    assert answer.json()["probabilities"] == package.predict(package.frame([ROW]))[0]["probabilities"]

    missing = server.route(model, ("champion", 9, 100))
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_version")
    loaded = server.http.post(f"/v1/models/{model}/versions/2/load", headers=server.key)
    assert loaded.status_code == 200, loaded.text
    assert server.http.post(f"/v1/models/{model}/versions/2/predict", json={"features": ROW}).json()["version"] == "2"

    server.kill()
    server.start(FACTORY_MLFLOW_URI="http://127.0.0.1:9")  # never released, and the registry is away
    deadline = time.monotonic() + 60
    while (answer := server.predict(model, ROW)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.3)
    assert answer.json()["version"] == "1"
