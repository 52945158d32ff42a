"""A small fitted package, and names that no other test uses."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from include.features.plan import FeaturePlan
from include.registry.tracking import Tracking
from include.specs import ModelSpec, Platform, load_spec
from include.store.packages import Field, Manifest, ModelPackage, save_package, typed

FIELDS = (
    Field(name="age", type="number", nullable=False, example=30),
    Field(name="vip", type="boolean", example=True),
    Field(name="plan", type="string", example="basic"),
    Field(name="seen", type="datetime", example="2026-01-01T00:00:00+00:00"),
)


@pytest.fixture
def spec() -> ModelSpec:
    """Return a spec whose model no other test has registered."""
    return load_spec("churn").model_copy(update={"name": f"m{uuid.uuid4().hex[:12]}"})


@pytest.fixture
def tracking(mlflow_platform: Platform, spec: ModelSpec) -> Tracking:
    return Tracking(mlflow_platform, spec)


@pytest.fixture(scope="session")
def fitted() -> dict[str, ModelPackage]:
    """Return a binary and a regression package over all column types."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, 200),
            "vip": rng.random(200) > 0.5,
            "plan": rng.choice(["basic", "pro"], 200),
            "seen": pd.date_range("2026-01-01", periods=200, tz="UTC"),
        }
    )
    rows, target = typed(frame, FIELDS), frame["age"].to_numpy()
    packages = {}
    for task, estimator, y in (
        ("binary", LogisticRegression(), (target > 40).astype(int)),
        ("regression", Ridge(), target * 2),
    ):
        plan = FeaturePlan(
            numeric=("age",),
            categorical=("plan",),
            dates=("seen",),
            booleans=("vip",),
            scale=True,
            max_onehot=20,
            task=task,
        )
        manifest = Manifest(
            model="m",
            task=task,
            target="y",
            features=FIELDS,
            classes=("stays", "leaves") if task == "binary" else None,
            algorithm="linear",
            run="automl_pipeline.one",
            trained_at=datetime.now(UTC),
        )
        packages[task] = ModelPackage(manifest, make_pipeline(plan, estimator).fit(rows, y))
    return packages


@pytest.fixture
def package(fitted: dict[str, ModelPackage], tmp_path: Path) -> Path:
    """Return the folder of a binary package."""
    save_package(tmp_path / "package", fitted["binary"])
    return tmp_path / "package"


@pytest.fixture
def late_server(mlflow_server: str) -> Iterator[Callable[[float], str]]:
    """Return a maker of URIs of the MLflow server where nothing listens until so many seconds have passed."""
    address = urlsplit(mlflow_server)
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def make(seconds: float) -> str:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        threads.append(threading.Thread(target=_forward, args=(port, address, seconds, stop), daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{port}"

    yield make
    stop.set()
    for thread in threads:
        thread.join(5)


def _forward(port: int, address, seconds: float, stop: threading.Event) -> None:
    stop.wait(seconds)
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.2)
        while not stop.is_set():
            try:
                client, _ = server.accept()
            except TimeoutError:
                continue
            upstream = socket.create_connection((address.hostname, address.port))
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
