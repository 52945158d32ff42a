"""A small embedded life moves to PostgreSQL, S3 and Redis, is killed on the way, and goes on living there."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.local.stack import Stack
from include.migration.__main__ import main
from include.registry.models import Change, Registry
from include.registry.server import MlflowServer
from include.specs import load_platform
from include.store.api_keys import ApiKeyStore
from include.store.artifacts import ArtifactStore
from include.store.online import OnlineFeatures
from include.store.prediction_log import PredictionLog
from include.store.routes import RouteStore
from include.store.signals import SignalStore
from tests.integration.migration.conftest import Embedded
from tests.integration.migration.life import MODEL, START, train
from tests.integration.serving.server import Server
from tests.integration.stores import PASSWORD, Stores

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]


def killed_after(line: str, seconds: float, file: Path) -> str:
    """Start the move and kill it some time after it said ``line``; return what it said."""
    command = [sys.executable, "-m", "include.migration", "--to", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = ""
    assert process.stdout
    for text in process.stdout:
        said += text
        if line in text:
            time.sleep(seconds)
            process.kill()
            break
    process.stdout.close()
    process.wait()
    return said


def test_it_moves_though_it_is_killed_and_lives_on(
    embedded: Embedded, stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded.use(monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in embedded.home.rglob("*.json")}
    ours = {
        name: (embedded.home / "artifacts" / name).read_bytes() for name in ArtifactStore.of(load_platform()).files()
    }
    to = stores.env_file()

    embedded.use(monkeypatch)
    assert main(["--to", str(to), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "predictions" in told and "1200" in told and "model_versions" in told
    embedded.use(monkeypatch, **{k: v for k, v in stores.settings.items() if k.startswith("AWS_")})
    assert ArtifactStore(stores.settings["FACTORY_ARTIFACTS_URI"]).files() == []  # nothing was changed
    embedded.use(monkeypatch)

    for line, seconds in (
        ("copying artifacts", 0.5), ("copying factory tables", 0.3), ("copying feature store", 4.0),
        ("copying MLflow artifacts", 0.5), ("copying MLflow", 12.0),
    ):  # fmt: skip
        assert line in killed_after(line, seconds, to), line
    assert main(["--to", str(to)]) == 0
    told = capsys.readouterr().out
    assert "moved; start everything with the new settings" in told and " no " not in told.split("source", 1)[-1]
    for secret in (PASSWORD, "swordfish"):
        assert secret not in told
    assert before == {path: path.stat().st_mtime_ns for path in before}  # the source is as it was
    embedded.use(monkeypatch)
    assert main(["--to", str(to)]) == 0
    assert "nothing is left to do" in capsys.readouterr().out

    stores.start_mlflow()
    elsewhere = {**stores.settings, "FACTORY_HOME": str(stores.folder / "elsewhere")}
    embedded.use(monkeypatch, **elsewhere)
    there = ArtifactStore.of(load_platform())
    assert {name: there.read_bytes(name) for name in there.files()} == ours
    everything_is_there()
    it_serves(embedded.key, stores.folder / "serving.log")
    it_lives_on()


def everything_is_there() -> None:
    """See tables, versions, aliases, runs and online features at the target."""
    platform = load_platform()
    assert len(PredictionLog(platform).frame(MODEL)) == 1_200
    assert RouteStore(platform).get(MODEL).variants[0].version == "2"
    assert SignalStore(platform).windows(MODEL)[0].evidence == {"why": "ü"}
    assert [key.name for key in ApiKeyStore(platform).all()] == ["shop"]
    registry = Registry(platform)
    assert [(one.number, one.stage, one.aliases) for one in registry.versions(MODEL)] == [
        (2, "Production", ("champion",)),
        (1, "Archived", ()),
    ]
    for number in (1, 2):
        assert registry.package(registry.require(MODEL, number)).manifest.model == MODEL
    client = MlflowServer(platform).client
    experiment = client.get_experiment_by_name(MODEL).experiment_id
    (run,) = client.search_runs([experiment], "tags.`factory.run` = 'automl_pipeline.two'")
    assert run.data.metrics and run.data.params["snapshot"]
    assert platform.artifacts_uri in run.inputs.dataset_inputs[0].dataset.source
    assert client.list_artifacts(run.info.run_id)
    engine = sa.create_engine(platform.optuna_uri.get_secret_value())
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM studies")) == 2
    found = OnlineFeatures(platform).lookup("churn_v1", [{"customer_id": "c030-00001"}])
    assert found[0]["plan"]


def it_serves(key: str, log: Path) -> None:
    """Let a model server answer, which has nothing but the new stores, and asks for the key that was moved."""
    server = Server(load_platform(), log).start()
    try:
        manifest = Registry(load_platform()).package(Registry(load_platform()).require(MODEL, 2)).manifest
        row = {field.name: field.example for field in manifest.features}
        deadline = time.monotonic() + 120
        while (
            answer := server.http.post(
                f"/v1/models/{MODEL}/predict", json={"features": row}, headers={"Authorization": f"Bearer {key}"}
            )
        ).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.5)
        assert answer.json()["version"] == "2"
        refused = server.http.post(f"/v1/models/{MODEL}/predict", json={"features": row})
        assert refused.status_code == 401
    finally:
        server.stop()
        server.clean_up()


def it_lives_on() -> None:
    """Train, register and roll back on the new stores; numbers go on where they were."""
    platform = load_platform()
    train(platform, "automl_pipeline.three")
    registry = Registry(platform)
    assert [one.number for one in registry.versions(MODEL)] == [3, 2, 1]
    registry.promote(MODEL, 1, Change("rolled back", "model_deployment.three"))
    assert registry.get(MODEL, "champion").number == 1
    signals = SignalStore(platform)
    assert signals.request_retraining(MODEL, START.replace(day=9), "drift", {})
    assert [request.id for request in signals.requests(MODEL)] in ([1, 2], [2, 1])


def test_a_target_that_holds_something_else_is_refused(
    embedded: Embedded,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Another factory, which has nothing of its own, must not be mixed with the one that is there."""
    embedded.use(monkeypatch, FACTORY_HOME=str(tmp_path / "another"))
    (tmp_path / "another").mkdir()
    assert main(["--to", str(stores.env_file())]) == 1
    told = capsys.readouterr().out
    assert "the target holds other data" in told
    assert re.search(r"\b12\d\d rows in predictions", told), "what was moved, and what it answered since"


def test_a_running_stack_and_unfit_settings_are_refused(
    embedded: Embedded,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    embedded.use(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Stack, "running", lambda self: True)
        assert main(["--to", str(stores.env_file())]) == 1
    assert "run 'make stop' first" in capsys.readouterr().out
    embedded.use(monkeypatch)
    (tmp_path / "half.env").write_text("FACTORY_ARTIFACTS_URI=s3://bucket/x\n")
    assert main(["--to", str(tmp_path / "half.env")]) == 1
    told = capsys.readouterr().out
    assert "FACTORY_DATABASE_URI must be" in told and "MLFLOW_BACKEND_STORE_URI must be" in told
    assert main(["--to", str(tmp_path / "none.env")]) == 1
    assert "there is no file" in capsys.readouterr().out
