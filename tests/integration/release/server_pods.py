"""Pods of the fake cluster that are real: each the model server in a process, started as its manifest says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.controllers import Workload
from tests.integration.conftest import free_port
from tests.unit.release.fake_cluster import Document, Version

ENTRYPOINT = ("-m", "include.serving", "--host", "127.0.0.1", "--port")


class ServerPod:
    """A pod whose container's command is the image's, in a home of its own.

    Attributes:
        behaves: what the cluster itself does to it; here it always starts it.
    """

    def __init__(self, folder: Path, environment: dict[str, str], number: int, workload: Workload) -> None:
        (container,) = workload.template["spec"]["containers"]
        self.template, self.container, self.workload, self.behaves = (
            workload.template,
            container,
            workload.name,
            Version(),
        )
        self.version = workload.template["metadata"]["labels"]["model-factory/version"]
        self.name, self.uid = f"{workload.name}-{number}", f"uid-{number}"
        self._log, port = folder / f"{self.name}.log", free_port()
        given = {one["name"]: one["value"] for one in container["env"]}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("FACTORY_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *ENTRYPOINT, str(port)], stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={**plain, **environment, **given, "FACTORY_HOME": str(folder / self.name)},
            )  # fmt: skip
        self._url = f"http://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=30, trust_env=False)

    @property
    def ready(self) -> bool:
        try:
            return self._http.get(self.container["readinessProbe"]["httpGet"]["path"]).status_code == 200
        except httpx.HTTPError:
            return False

    def document(self) -> Document:
        container: Document = {"name": self.container["name"], "image": self.container["image"], "restartCount": 0}
        if (code := self._process.poll()) is not None:
            container["restartCount"] = 2
            container["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
            container["lastState"] = {"terminated": {"exitCode": code, "reason": "Error"}}
        ready = {"type": "Ready", "status": "True" if self.ready else "False"}
        labels = self.template["metadata"]["labels"]
        status = {"phase": "Running", "conditions": [ready], "containerStatuses": [container]}
        return {"metadata": {"name": self.name, "uid": self.uid, "labels": labels}, "status": status}

    def answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
        sent = {name: headers[name] for name in ("x-api-key", "x-factory-probe") if name in headers}
        response = self._http.request(method, path, json=body, headers=sent)
        return response.status_code, response.content

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
