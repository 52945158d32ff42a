"""A model server that asks for keys, logs JSON, writes an access log and sends traces: what a platform's own is like."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from include.specs import Platform
from include.store.api_keys import ApiKeyStore
from tests.integration.serving.server import Server
from tests.model_packages import churn, picky, put
from tests.otlp import Collector

REFRESH_SECONDS = 0.2


class Guarded(Server):
    """A server with keys of every kind.

    Attributes:
        keys: name → key; ``reader`` may predict, ``operator`` operate, ``slow`` predict 5 rows at once and then hardly any.
        traces: where its spans arrive.
    """

    def __init__(self, platform: Platform, log: Path, traces: Collector) -> None:
        super().__init__(platform, log)
        self.traces = traces
        self.store = ApiKeyStore(platform)
        self.keys = {
            "reader": self.store.create("reader", ["predict"])[0],
            "operator": self.store.create("operator", ["operate"])[0],
            "slow": self.store.create("slow", ["predict"], rate=0.001, burst=5)[0],
        }

    def by(self, name: str) -> dict[str, str]:
        """Return the header of a key."""
        return {"X-API-Key": self.keys[name]}

    def lines(self) -> list[dict[str, Any]]:
        """Return the log; every line of it is a JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def line_of(self, request_id: str, logger: str = "access") -> dict[str, Any]:
        """Return the line of a request, which is written a moment after its answer."""
        return eventually(
            lambda: [one for one in self.lines() if (one.get("request_id"), one["logger"]) == (request_id, logger)]
        )[0]


def eventually(look: Any, seconds: float = 20) -> Any:
    """Return what ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
    return found


@contextmanager
def guarded_server(folder: Path) -> Iterator[Guarded]:
    """Run such a server in ``folder``, with the models ``churn`` and ``picky``."""
    with ExitStack() as stack:
        traces = Collector()
        stack.callback(traces.close)
        with pytest.MonkeyPatch.context() as patch:  # gone before the tests run: those of other files must not see it
            for name, value in {
                "FACTORY_HOME": str(folder / "home"),
                "FACTORY_MODELS_DIR": str(folder / "no_specs"),
                "FACTORY_MLFLOW_URI": "http://127.0.0.1:9",
                "FACTORY_SERVICE_RETRY_SECONDS": "1",
                "FACTORY_SERVING__REFRESH_SECONDS": str(REFRESH_SECONDS),
                "FACTORY_SERVING__LOG_FORMAT": "json",
                "FACTORY_SERVING__ACCESS_LOG": "true",
                "FACTORY_SERVING__TRACING_ENDPOINT": traces.url,
                "OTEL_BSP_SCHEDULE_DELAY": "200",
            }.items():
                patch.setenv(name, value)
            server = Guarded(Platform(), folder / "server.log", traces)
            stack.callback(server.clean_up)
            for name, package in (("churn", churn()), ("picky", picky())):
                put(server.platform.home, name, 1, package)
            server.start()
        for name in ("churn", "picky"):
            server.route(name, ("champion", 1, 100)).raise_for_status()
        yield server
