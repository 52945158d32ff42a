"""The systems that are compared: how each is started, as its users start it, and how it is asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving.dialects import BENTOML, MLFLOW, OURS, PROTOCOL_V2, Dialect
from benchmarks.serving.wrk import Load
from include.specs import ROOT

LOADS = (Load(1, 1), Load(1, 16), Load(1, 128), Load(100, 1), Load(100, 16))
BIN = Path(sys.executable).parent
MLSERVER, BENTO = ROOT / ".venv-bench-mlserver", ROOT / ".venv-bench-bentoml"


@dataclass(frozen=True)
class System:
    """A server of the model.

    Attributes:
        name: for options and results.
        title: for people.
        command: program and arguments; ``{folder}`` is where the model lies, ``{port}`` where to listen,
            ``{home}`` a home of our server that only this process has.
        environment: variables beside those of this process; the same words.
        packages: distributions whose versions belong to the result.
        python: interpreter of its environment.
        loads: what it is put under.
    """

    name: str
    title: str
    dialect: Dialect
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    loads: tuple[Load, ...] = LOADS


def _bare(name: str, title: str, *command: str) -> System:
    environment = {"BENCH_ONNX": "{folder}/model.onnx", "OMP_NUM_THREADS": "1"}
    return System(name, f"bare handler, {title}", OURS, command, environment, ("granian", "uvicorn", "onnxruntime"))


def _ours(name: str, title: str, loads: tuple[Load, ...] = LOADS, **settings: str) -> System:
    environment = {
        "FACTORY_HOME": "{home}",
        "FACTORY_MODELS_DIR": "{folder}/no_specs",
        "FACTORY_MLFLOW_URI": "http://127.0.0.1:9",
        **{f"FACTORY_SERVING__{setting.upper()}": value for setting, value in settings.items()},
    }
    command = (sys.executable, "-m", "include.serving", "--port", "{port}")
    return System(name, f"ours, {title}", OURS, command, environment, ("xgboost", "scikit-learn"), loads=loads)


_GRANIAN = (
    str(BIN / "granian"), "--host", "127.0.0.1", "--port", "{port}", "--workers", "1", "--loop", "uvloop",
    "--http", "1", "--no-ws", "--log-level", "warning", "--backlog", "1024",
)  # fmt: skip
_MLSERVER = (str(MLSERVER / "bin" / "mlserver"), "start", "{folder}/mlserver")
_MLSERVER_AT = {
    "MLSERVER_HOST": "127.0.0.1", "MLSERVER_HTTP_PORT": "{port}", "MLSERVER_GRPC_PORT": "{other}",
    "MLSERVER_METRICS_PORT": "{third}",
}  # fmt: skip
_MLSERVER_PACKAGES = ("mlserver", "mlserver-xgboost", "xgboost")

SYSTEMS = (
    _bare(
        "bare-uvicorn", "ASGI on uvicorn", str(BIN / "uvicorn"), "benchmarks.serving.bare:asgi", "--port", "{port}",
        "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--lifespan", "off", "--log-level", "warning",
    ),
    _bare("bare-asgi", "ASGI on granian", *_GRANIAN, "--interface", "asginl", "benchmarks.serving.bare:asgi"),
    _bare("bare-rsgi", "RSGI on granian", *_GRANIAN, "--interface", "rsgi", "benchmarks.serving.bare:rsgi"),
    _ours("ours", "log off, cache off", log_sample="0", cache="off"),
    _ours("ours-log", "log on", log_sample="1", cache="off"),
    _ours("ours-cache", "cache on", log_sample="0", cache="memory"),
    _ours("ours-log-cache", "log and cache on", log_sample="1", cache="memory"),
    _ours("ours-two", "two workers", log_sample="0", cache="off", workers="2"),
    System(
        "mlserver", "MLServer", PROTOCOL_V2, _MLSERVER, _MLSERVER_AT, _MLSERVER_PACKAGES, MLSERVER / "bin" / "python",
    ),
    System(
        "mlserver-one", "MLServer, OMP_NUM_THREADS=1", PROTOCOL_V2, _MLSERVER, {**_MLSERVER_AT, "OMP_NUM_THREADS": "1"},
        _MLSERVER_PACKAGES, MLSERVER / "bin" / "python", LOADS[:2],
    ),
    System(
        "mlflow", "mlflow models serve", MLFLOW,
        (str(BIN / "mlflow"), "models", "serve", "-m", "{folder}/mlflow", "--env-manager", "local", "-h", "127.0.0.1",
         "-p", "{port}"),
        {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": "{path}"}, ("mlflow", "xgboost"),
    ),
    System(
        "bentoml", "BentoML", BENTOML,
        (str(BENTO / "bin" / "bentoml"), "serve", "benchmarks.serving.bento_service:Bench", "--host", "127.0.0.1",
         "--port", "{port}", "--working-dir", "{root}"),
        {"BENCH_UBJ": "{folder}/model.ubj", "BENTOML_HOME": "{folder}/bentoml", "BENTOML_DO_NOT_TRACK": "true"},
        ("bentoml", "xgboost"), BENTO / "bin" / "python",
    ),
)  # fmt: skip
