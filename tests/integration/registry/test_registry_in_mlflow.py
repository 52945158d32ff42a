"""Versions in a real MLflow server: registered once, fetched as registered, promoted whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.registry.cache import DigestError
from include.registry.models import Change, Registry
from include.registry.server import MlflowServer
from include.specs import FactoryError
from include.store.packages import PackageError, load_package, save_package

TAGS = {"factory.algorithm": "linear", "factory.parameters": "{}", "factory.metric.roc_auc": "0.8"}
RELEASED = Change("released", "model_deployment.one", "tester")


@pytest.fixture
def registry(mlflow_platform):
    return Registry(mlflow_platform)


@pytest.fixture
def register(registry, tracking, spec, package):
    """Return a function that registers the package as if training run ``run`` had made it."""

    def make(run="automl_pipeline.one", folder=package, **tags):
        mlflow_run = tracking.ensure_run(run, "automl_pipeline")
        tracking.log(mlflow_run, {"C": 1}, {"roc_auc": 0.8})
        return registry.register(spec.name, folder, run, mlflow_run, TAGS | tags, "What it is.", "# Card\n")

    return make


def test_a_model_that_was_never_registered_has_nothing(registry, spec):
    assert registry.versions(spec.name) == []
    assert registry.get(spec.name, "champion") is None
    assert registry.get(spec.name, 1) is None
    with pytest.raises(FactoryError, match="has no version 7; there are: none"):
        registry.require(spec.name, 7)


def test_a_run_registers_once(register, registry, spec):
    version = register()
    assert (version.number, version.semantic, version.run) == (1, "1.0.0", "automl_pipeline.one")
    assert version.tags["factory.metric.roc_auc"] == "0.8"
    assert (version.aliases, version.stage) == ((), "None")
    assert register() == version
    assert registry.versions(spec.name) == [version]


def test_a_version_belongs_to_its_training_run(register, registry, mlflow_platform):
    version = register()
    client = MlflowServer(mlflow_platform).client
    found = client.get_model_version(version.model, "1")
    logged = client.get_logged_model(found.source.removeprefix("models:/"))
    assert found.description == "What it is."
    assert (logged.source_run_id, logged.status.name, logged.params["C"]) == (version.mlflow_run, "READY", "1")
    assert [(metric.key, metric.value) for metric in logged.metrics] == [("roc_auc", 0.8)]
    outputs = client.get_run(version.mlflow_run).outputs.model_outputs
    assert [output.model_id for output in outputs] == [logged.model_id]


def test_the_package_comes_back_as_it_was(register, registry, package, fitted):
    version = register()
    folder = registry.fetch(version)
    for name in ("factory.json", "model.skops"):
        assert (folder / name).read_bytes() == (package / name).read_bytes()
    row = {"age": 60.0, "vip": None, "plan": "never seen", "seen": "2026-02-01"}
    loaded = registry.package(version)
    assert loaded.predict(loaded.frame([row])) == fitted["binary"].predict(fitted["binary"].frame([row]))


def test_a_tampered_registry_is_refused(register, registry, mlflow_platform, package):
    version = register()
    client = MlflowServer(mlflow_platform).client
    model_id = client.get_model_version(version.model, "1").source.removeprefix("models:/")
    tampered = package.parent / "model.skops"
    tampered.write_bytes((package / "model.skops").read_bytes() + b" ")
    client.log_model_artifact(model_id, str(tampered), "data/package")
    with pytest.raises(DigestError, match=r"version 1 \(1.0.0\): the files in the registry are not those"):
        registry.fetch(version)
    assert not (mlflow_platform.home / "cache" / "models" / version.model / "1").exists()


def test_a_version_that_somebody_else_registered_is_refused(registry, tracking, spec, mlflow_platform):
    client = MlflowServer(mlflow_platform).client
    run = client.get_run(tracking.ensure_run("by_hand", "by_hand"))
    client.create_registered_model(spec.name)
    client.create_model_version(spec.name, f"{run.info.artifact_uri}/model", run.info.run_id)
    with pytest.raises(FactoryError, match="was not registered by the factory"):
        registry.fetch(registry.get(spec.name, 1))


def test_a_package_that_cannot_be_loaded_is_not_registered(register, registry, package, spec):
    (package / "model.skops").write_bytes(b"not a model")
    with pytest.raises(PackageError):
        register()
    assert registry.versions(spec.name) == []


def test_a_try_that_died_is_completed(register, registry, spec, mlflow_platform, monkeypatch):
    client = MlflowServer(mlflow_platform).client
    with monkeypatch.context() as patch:
        patch.setattr("include.registry.logged._finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_number_semantically", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register()
    assert registry.get(spec.name, 1).semantic == ""
    version = register()
    assert (version.number, version.semantic) == (1, "1.0.0")
    run = client.get_run(version.mlflow_run)
    assert len(client.search_logged_models([run.info.experiment_id])) == 1


def test_registrations_at_once_get_versions_of_their_own(register, registry, spec, mlflow_platform):
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: register(f"automl_pipeline.{number}"), range(6)))
    assert sorted(version.number for version in found) == [1, 2, 3, 4, 5, 6]
    assert sorted((version.number, version.semantic) for version in registry.versions(spec.name)) == [
        (number, f"1.0.{number - 1}") for number in range(1, 7)
    ]


def test_a_version_follows_the_one_before(register, fitted, tmp_path):
    assert register("a").semantic == "1.0.0"
    assert register("b").semantic == "1.0.1"
    assert register("c", **{"factory.algorithm": "xgboost"}).semantic == "1.1.0"
    save_package(tmp_path / "other", fitted["regression"])
    assert register("d", folder=tmp_path / "other").semantic == "2.0.0"


def test_the_challenger_becomes_champion_and_the_champion_is_archived(register, registry, spec):
    first = registry.set_alias(register("a"), "challenger")
    assert (first.aliases, first.stage) == (("challenger",), "Staging")
    assert registry.promote(spec.name, 1, RELEASED) is None
    second = registry.set_alias(register("b"), "challenger")
    previous = registry.promote(spec.name, 2, Change("released", "model_deployment.two", "tester"))
    assert (previous.number, previous.aliases, previous.stage) == (1, (), "Archived")
    champion = registry.get(spec.name, "champion")
    assert (champion.number, champion.aliases, champion.stage) == (second.number, ("champion",), "Production")
    assert registry.get(spec.name, "challenger") is None
    assert [(entry["what"], entry["by"]) for entry in champion.audit] == [("promoted", "tester")]
    assert [(entry["what"], entry["why"]) for entry in previous.audit] == [
        ("promoted", "released"),
        ("archived", "version 2 took its place"),
    ]
    assert load_package(registry.fetch(previous))


@pytest.mark.parametrize("dies_at", ["set_alias", "archive"])
def test_a_promotion_that_died_is_completed(register, registry, spec, monkeypatch, dies_at):
    register("a")
    registry.promote(spec.name, 1, RELEASED)
    registry.set_alias(register("b"), "challenger")
    change = Change("released", "model_deployment.two")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, dies_at, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            registry.promote(spec.name, 2, change)
    assert registry.get(spec.name, "champion").number == (1 if dies_at == "set_alias" else 2)
    for _ in range(2):
        assert registry.promote(spec.name, 2, change).number == 1
    stages = {version.number: (version.aliases, version.stage) for version in registry.versions(spec.name)}
    assert stages == {1: ((), "Archived"), 2: (("champion",), "Production")}


def test_what_never_was_champion_is_archived_with_the_rest_but_a_newer_challenger_stays(register, registry, spec):
    for run in "abc":
        register(run)
    registry.set_alias(registry.get(spec.name, 3), "challenger")
    registry.promote(spec.name, 2, RELEASED)
    assert [version.stage for version in registry.versions(spec.name)] == ["Staging", "Production", "Archived"]


def test_a_release_is_undone_by_promoting_the_former_champion(register, registry, spec):
    for run in "ab":
        register(run)
    registry.promote(spec.name, 1, RELEASED)
    registry.promote(spec.name, 2, Change("released", "model_deployment.two"))
    registry.promote(spec.name, 1, Change("rolled back", "model_deployment.two"))
    stages = {version.number: (version.aliases, version.stage) for version in registry.versions(spec.name)}
    assert stages == {1: (("champion",), "Production"), 2: ((), "Archived")}


def test_the_champion_cannot_be_archived(register, registry, spec):
    register()
    registry.promote(spec.name, 1, RELEASED)
    with pytest.raises(FactoryError, match="is the champion and cannot be archived"):
        registry.archive(registry.get(spec.name, 1), RELEASED)


def test_mlflow_loads_and_serves_a_version_where_the_factory_is_not_installed(register, mlflow_platform, tmp_path):
    version = register()
    script = f"""
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri({mlflow_platform.mlflow_uri!r})
model = mlflow.pyfunc.load_model("models:/{version.model}/1")
rows = pd.DataFrame([
    {{"age": 20.0, "vip": None, "plan": None, "seen": pd.Timestamp("2026-01-05")}},
    {{"age": 60.0, "vip": True, "plan": "new", "seen": pd.Timestamp("2026-01-05")}},
])
answer = model.predict(rows)
import include
print(json.dumps([answer.to_dict("records"), include.__file__, [column.name for column in model.metadata.signature.inputs]]))
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers, where, columns = json.loads(done.stdout.splitlines()[-1])
    assert [answer["label"] for answer in answers] == ["stays", "leaves"]
    assert answers[0]["probability_stays"] + answers[0]["probability_leaves"] == pytest.approx(1)
    assert "/code/include/" in where
    assert columns == ["age", "vip", "plan", "seen"]


def test_nothing_in_the_registry_is_pickled(register, registry, mlflow_platform, tmp_path):
    import mlflow.artifacts

    version = register()
    client = MlflowServer(mlflow_platform).client
    location = client.get_model_version_download_uri(version.model, "1")
    folder = mlflow.artifacts.download_artifacts(
        artifact_uri=location, dst_path=str(tmp_path / "all"), tracking_uri=mlflow_platform.mlflow_uri
    )
    files = {str(path.relative_to(folder)) for path in (tmp_path / "all").rglob("*") if path.is_file()}
    kept = {name for name in files if not name.startswith("code/include/")}
    assert {"MLmodel", "model_card.md", "data/package/factory.json", "data/package/model.skops"} <= kept
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".cloudpickle", ".pyc"))]
    pinned = (Path(folder) / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in pinned if line)
