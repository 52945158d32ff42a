"""A real model server in a process of its own, on a free port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.specs import Platform
from include.store.keys import serving_key
from tests.integration.conftest import free_port


class Server:
    """A model server that can be started, killed and started again on the same port."""

    def __init__(self, platform: Platform, log: Path) -> None:
        self.platform, self.log, self.port = platform, log, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.key = {"Authorization": f"Bearer {serving_key(platform)}"}

    def start(self, **environment: str) -> Server:
        command = [sys.executable, "-m", "include.serving", "--port", str(self.port)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, **environment}, start_new_session=True
            )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.http.get("/health/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail(f"the model server did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def kill(self) -> None:
        """Kill the server alone, as the kernel's memory killer would; its log writer lives on."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the server by SIGTERM to its whole group, as a supervisor would."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout=60)

    def clean_up(self) -> None:
        self.http.close()
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def route(self, model: str, *variants: tuple[str, int, int] | dict[str, Any]) -> httpx.Response:
        """PUT a route; a variant is (name, version, weight) or the whole object."""
        entries = [v if isinstance(v, dict) else {"name": v[0], "version": str(v[1]), "weight": v[2]} for v in variants]
        return self.http.put(f"/v1/routes/{model}", json={"variants": entries}, headers=self.key)

    def predict(self, model: str, features: dict[str, Any], **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        return self.http.post(f"/v1/models/{model}/predict", json={"features": features, **more}, headers=headers)

    def statistics(self, model: str) -> dict[str, Any]:
        return self.http.get(f"/v1/models/{model}/statistics", headers=self.key).json()
