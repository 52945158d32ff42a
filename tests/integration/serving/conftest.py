"""Model servers: a fresh one for each test that kills it, one for those that only ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.specs import Platform
from tests.integration.feast.conftest import applied, shop  # noqa: F401 - fixtures
from tests.integration.serving.guarded import Guarded, guarded_server
from tests.integration.serving.server import Server
from tests.model_packages import churn, digits, house, picky, put


@pytest.fixture
def serve(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Return a maker of servers on a fresh platform that is told of no spec."""
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(tmp_path / "no_specs"))
    servers: list[Server] = []

    def make(on: Platform = platform) -> Server:
        servers.append(Server(on, tmp_path / f"server-{len(servers)}.log"))
        return servers[-1]

    yield make
    for server in servers:
        server.clean_up()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with a binary, a regression and a multiclass model, and without a registry; tests that change a route use a
    model of their own."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACTORY_HOME", str(folder / "home"))
        patch.setenv("FACTORY_MODELS_DIR", str(folder / "no_specs"))
        patch.setenv("FACTORY_MLFLOW_URI", "http://127.0.0.1:9")
        patch.setenv("FACTORY_SERVICE_RETRY_SECONDS", "1")
        patch.setenv("FACTORY_SERVING__REFRESH_SECONDS", "0.5")
        patch.setenv("FACTORY_SERVING__MAX_BODY_MB", "1")
        patch.setenv("FACTORY_SERVING__MAX_ROWS", "1000")
        patch.setenv("FACTORY_SERVING__BODY_TIMEOUT_SECONDS", "2")
        server = Server(Platform(), folder / "server.log")
        home = server.platform.home
        for number in (1, 2, 3):
            put(home, "churn", number, churn(number))
        for name, package in (("picky", picky()), ("house", house()), ("digits", digits())):
            put(home, name, 1, package)
        server.start()
    try:  # what the server was told is no longer in the environment: tests of other files must not see it
        for name in ("churn", "picky", "house", "digits"):
            server.route(name, ("champion", 1, 100)).raise_for_status()
        yield server
    finally:
        server.clean_up()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Return a server that asks for keys and shows what it does."""
    with guarded_server(tmp_path_factory.mktemp("guarded")) as server:
        yield server
