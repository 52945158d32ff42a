"""The node's kubelet, where it is a process of this machine: killed without warning, and started again as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest


class Kubelet:
    """The kubelet whose process CLUSTER_STATE names."""

    def __init__(self) -> None:
        state = os.environ.get("CLUSTER_STATE", "")
        self._file = Path(state, "kubernetes", "pids", "kubelet")
        if not state or not self._file.is_file():
            pytest.skip("CLUSTER_STATE names no cluster on this machine: its kubelet cannot be killed")
        self._log = Path(state, "kubernetes", "logs", "kubelet.log")
        process = psutil.Process(int(self._file.read_text().split()[0]))
        self._command, self._environment = process.cmdline(), process.environ()
        self._process = process

    def kill(self) -> None:
        self._process.kill()
        psutil.wait_procs([self._process], timeout=10)

    def start(self) -> None:
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        ticks = Path(f"/proc/{started.pid}/stat").read_text().split()[21]
        self._file.write_text(f"{started.pid} {ticks}\n")
