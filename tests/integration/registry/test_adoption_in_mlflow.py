"""Models from elsewhere in a real registry: versions like any other, which the model server answers with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from include.monitoring.sample import Reference
from include.registry.models import Change, Registry
from include.registry.server import MlflowServer
from include.release.rows import probe_rows
from include.specs import Platform
from include.steps.adopt import main
from include.store.artifacts import ArtifactStore
from include.store.runs import RunFolder
from tests.integration.serving.server import Server
from tests.unit.registry.test_adoption import CODE, MAKERS, NAMES, SIGNAL, TARGETS, Malice, X

Adopt = Callable[..., int]


@pytest.fixture
def model() -> str:
    return f"m{uuid.uuid4().hex[:12]}"


@pytest.fixture
def adopt(mlflow_platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adopt:
    """Return the command: ``adopt(model, origin, **document)``, with real rows beside it; its exit code."""
    (tmp_path / "specs").mkdir()
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(tmp_path / "specs"))

    def run(name: str, origin: str, rows: pd.DataFrame | None = None, **document: object) -> int:
        features = dict.fromkeys(NAMES, "number")
        document = {"task": "binary", "target": "y", "features": features, "classes": ["no", "yes"], **document}
        (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(document))
        given = ["--manifest", str(tmp_path / "manifest.yaml")]
        if rows is not None:
            rows.to_csv(tmp_path / "rows.csv", index=False)
            given += ["--rows", str(tmp_path / "rows.csv")]
        return main([name, "--from", origin, *given])

    return run


def labelled(expected: np.ndarray) -> pd.DataFrame:
    labels = np.array(["no", "yes"])[TARGETS["binary"]]
    return pd.DataFrame(X, columns=NAMES).assign(y=labels, expected=expected[:, 1])


@pytest.mark.parametrize("suffix", [".onnx", ".ubj", ".txt", ".cbm", ".skops"])
def test_an_adopted_model_is_a_version_like_any_other(
    adopt: Adopt, model: str, suffix: str, mlflow_platform: Platform, tmp_path: Path
) -> None:
    source, expected = MAKERS[suffix][0]("binary", tmp_path, suffix)
    for _ in range(2 if suffix == ".txt" else 1):  # the second time changes nothing
        assert adopt(model, str(source), labelled(expected)) == 0
    registry = Registry(mlflow_platform)
    (version,) = registry.versions(model)
    assert (version.aliases, version.stage, version.semantic) == (("challenger",), "Staging", "1.0.0")
    assert version.tags["factory.adopted"] == f"model{suffix}"
    assert float(version.tags["factory.metric.roc_auc"]) > 0.9
    package = registry.package(version)
    np.testing.assert_allclose(package.probabilities(pd.DataFrame(X, columns=NAMES)), expected, atol=1e-5)

    store = ArtifactStore.of(mlflow_platform)
    reference = Reference.load(store, model, version.run)
    np.testing.assert_allclose(reference.held_out.outputs, expected[:, 1], atol=1e-5)
    folder = RunFolder(store, model, version.run)
    with store.local(folder.path("prepare", "prepared")) as prepared:
        assert len(probe_rows(lambda *_: Path(prepared))) == len(X)
    assert registry.promote(model, 1, Change("released", "model_deployment.test")) is None
    assert registry.get(model, "champion").number == 1


def test_a_model_that_mlflow_logged_is_adopted_in_its_native_form(
    adopt: Adopt, model: str, mlflow_platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import lightgbm as lgb
    import mlflow

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.setenv(name, "")  # MLflow sets them for processes that are started later: not for other tests
    mlflow.set_tracking_uri(mlflow_platform.mlflow_uri)
    fitted = lgb.LGBMRegressor(n_estimators=5, verbosity=-1).fit(pd.DataFrame(X, columns=NAMES), SIGNAL)
    mlflow.set_experiment(f"elsewhere {model}")
    with mlflow.start_run():
        logged = mlflow.lightgbm.log_model(fitted.booster_, name="model", pip_requirements=["lightgbm"])
    assert adopt(model, logged.model_uri, task="regression", classes=None) == 0
    registry = Registry(mlflow_platform)
    version = registry.get(model, "challenger")
    assert version.tags["factory.algorithm"] == "adopted lightgbm"
    package = registry.package(version)
    np.testing.assert_allclose(package.estimator.predict(pd.DataFrame(X, columns=NAMES)), fitted.predict(X))

    mlflow.set_tracking_uri(mlflow_platform.mlflow_uri)
    answer = mlflow.pyfunc.load_model(f"models:/{model}/1").predict(pd.DataFrame(X[:3], columns=NAMES))
    np.testing.assert_allclose(answer["label"], fitted.predict(X[:3]))


def test_a_model_of_code_is_registered_with_its_code(
    adopt: Adopt, model: str, mlflow_platform: Platform, tmp_path: Path
) -> None:
    import mlflow.pyfunc

    (tmp_path / "code.py").write_text(CODE)
    mlflow.pyfunc.save_model(str(tmp_path / "model"), python_model=str(tmp_path / "code.py"), pip_requirements=[])
    assert adopt(model, str(tmp_path / "model")) == 0
    registry = Registry(mlflow_platform)
    package = registry.package(registry.get(model, "challenger"))
    scores = package.probabilities(pd.DataFrame(X, columns=NAMES))
    np.testing.assert_allclose(scores[:, 1], 1 / (1 + np.exp(-2 * X[:, 0])))


@pytest.fixture
def server(mlflow_platform: Platform, tmp_path: Path) -> Iterator[Server]:
    server = Server(mlflow_platform, tmp_path / "server.log")
    yield server
    server.clean_up()


def test_the_model_server_answers_with_an_adopted_graph_and_never_unpickles(
    adopt: Adopt, model: str, server: Server, mlflow_platform: Platform, tmp_path: Path
) -> None:
    source, expected = MAKERS[".onnx"][0]("binary", tmp_path, ".onnx")
    assert adopt(model, str(source)) == 0
    server.start()
    assert server.route(model, ("champion", 1, 100)).status_code == 200, server.log.read_text()[-2000:]
    answer = server.predict(model, dict(zip(NAMES, X[0].tolist(), strict=True))).json()
    assert answer["probabilities"]["yes"] == pytest.approx(expected[0, 1], abs=1e-5)
    assert answer["label"] == ("yes" if expected[0, 1] >= 0.5 else "no")

    import pickle

    trace = tmp_path / "trace"
    for runtime, file in (("torchscript", "model.pt"), ("sklearn", "model.skops"), ("pyfunc", "mlflow_model")):
        folder = mlflow_platform.home / "cache" / "models" / f"{model}x{runtime}" / "1"
        folder.mkdir(parents=True)
        kept = json.loads((mlflow_platform.home / "cache" / "models" / model / "1" / "factory.json").read_text())
        (folder / "factory.json").write_text(json.dumps({**kept, "model": f"{model}x{runtime}"}))
        (folder / "runtime.json").write_text(json.dumps({"runtime": runtime}))
        if runtime == "pyfunc":
            (folder / file).mkdir()
            flavour = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
            (folder / file / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavour}}))
            file = f"{file}/python_model.pkl"
        (folder / file).write_bytes(pickle.dumps(Malice(trace)))
        refused = server.route(f"{model}x{runtime}", ("champion", 1, 100))
        assert 400 <= refused.status_code < 600, refused.text
        assert server.predict(f"{model}x{runtime}", {}).status_code == 404
    assert not trace.exists()


def test_what_is_refused_is_not_registered(
    adopt: Adopt, model: str, mlflow_platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pickle

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Malice(tmp_path / "trace")))
    assert adopt(model, str(tmp_path / "model.pkl")) == 1
    assert "is a pickle" in capsys.readouterr().err
    source, expected = MAKERS[".txt"][0]("binary", tmp_path, ".txt")
    assert adopt(model, str(source), labelled(1 - expected)) == 1
    assert "differ by up to" in capsys.readouterr().err
    assert adopt(model, str(tmp_path / "absent.onnx")) == 1
    assert "there is no such file" in capsys.readouterr().err
    assert Registry(mlflow_platform).versions(model) == []
    assert not (tmp_path / "trace").exists()
    server = MlflowServer(mlflow_platform)
    assert server.ask(lambda client: client.search_registered_models(f"name = '{model}'")) == []
