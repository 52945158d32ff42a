"""The embedded stack under supervisord: Airflow, the MLflow server and the model server, on loopback."""

from __future__ import annotations

import configparser
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from include.local.environment import stack_environment
from include.specs import ROOT, FactoryError, Platform
from include.store.tls import client_context

START_TIMEOUT = 240.0
"""Seconds until every service must have answered; the first start also makes Airflow's database."""


class StackError(FactoryError):
    """The embedded stack cannot be started or reached."""


class Stack:
    """Start, watch and stop the processes of the embedded stack.

    supervisord starts them in the background, starts again what dies, and stops them with SIGINT, the signal
    after which Airflow leaves no child behind.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.run_dir = platform.home / "stack"
        self.config = self.run_dir / "supervisord.conf"
        # A socket's path is limited to 107 bytes, which a project deep in a home folder exceeds.
        digest = hashlib.sha256(str(platform.home).encode()).hexdigest()[:16]
        self.socket = Path(tempfile.gettempdir()) / f"factory-{os.getuid()}-{digest}.sock"

    def programs(self) -> dict[str, str]:
        """Return the command line of each supervised program."""
        python = sys.executable
        mlflow, serving = urlsplit(self.platform.mlflow_uri), urlsplit(self.platform.serving_url)
        return {
            "mlflow": (
                f"{python} -m mlflow server --host {mlflow.hostname} --port {mlflow.port} --workers 1"
                + self._mlflow_stores()
            ),
            "model-server": f"{python} -m include.serving --host {serving.hostname} --port {serving.port}",
            "airflow-api-server": f"{python} -m airflow api-server",
            "airflow-scheduler": f"{python} -m airflow scheduler",
            "airflow-dag-processor": f"{python} -m airflow dag-processor",
            "airflow-triggerer": f"{python} -m airflow triggerer --capacity 200",
        }

    def _mlflow_stores(self) -> str:
        """Return where MLflow's server keeps its bytes; what its own variables say stays out of every command line."""
        home = self.platform.home
        stores = {
            "MLFLOW_BACKEND_STORE_URI": f" --backend-store-uri sqlite:///{home / 'mlflow.db'}",
            "MLFLOW_ARTIFACTS_DESTINATION": f" --artifacts-destination {home / 'mlflow-artifacts'}",
        }
        return "".join(option for variable, option in stores.items() if not os.environ.get(variable))

    def up(self, tell: Callable[[str], None]) -> None:
        """Start whatever does not run, and return when every service answers.

        Raises:
            StackError: a port is taken by somebody else, or a service did not come up; the message names its log.
        """
        if self.running():
            self._control("start", "all")  # what gave up earlier is tried again
        else:
            self._refuse_taken_ports()
            self._migrate_airflow(tell)
            self._write_config()
            tell("starting Airflow, MLflow and the model server")
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
            subprocess.run(command, env=stack_environment(self.platform), check=True, cwd=ROOT)
        self._wait(tell)

    def stop(self) -> bool:
        """Stop every process; return whether any ran."""
        if not self.running():
            return False
        pid = int((self.run_dir / "supervisord.pid").read_text())
        self._control("shutdown")
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=60)
        self.socket.unlink(missing_ok=True)
        return True

    def running(self) -> bool:
        """Tell whether supervisord of this project runs."""
        return self.socket.exists() and self._control("pid").returncode == 0

    def status(self) -> str:
        """Return a line per program: its name, state, process id and age."""
        return self._control("status").stdout if self.running() else "the stack does not run; `make run` starts it\n"

    def services(self) -> dict[str, str]:
        """Return the health address of each service."""
        return {
            "MLflow": f"{self.platform.mlflow_uri}/health",
            "model server": f"{self.platform.serving_url}/health/live",
            "Airflow": f"{self.platform.airflow_url}/api/v2/monitor/health",
        }

    def _wait(self, tell: Callable[[str], None]) -> None:
        waiting, deadline = self.services(), time.monotonic() + START_TIMEOUT
        began = time.monotonic()
        while waiting:
            for name, address in list(waiting.items()):
                if _healthy(address, self.platform):
                    del waiting[name]
                    tell(f"{name} answers after {time.monotonic() - began:.0f} s")
            if waiting and time.monotonic() > deadline:
                raise StackError(f"{', '.join(waiting)} did not answer within {START_TIMEOUT:g} s; {self._advice()}")
            if waiting and (given_up := self._given_up()):
                raise StackError(f"{', '.join(given_up)} ended again and again; {self._advice()}")
            time.sleep(0.5)

    def _given_up(self) -> list[str]:
        """Return the programs that supervisord has stopped starting."""
        lines = [line.split() for line in self._control("status").stdout.splitlines()]
        return [words[0] for words in lines if len(words) > 1 and words[1] == "FATAL"]

    def _advice(self) -> str:
        return f"read the logs in {self.run_dir / 'logs'}, then `make stop` and `make run`"

    def _refuse_taken_ports(self) -> None:
        for name, address in (
            ("airflow_url", self.platform.airflow_url),
            ("mlflow_uri", self.platform.mlflow_uri),
            ("serving_url", self.platform.serving_url),
        ):
            url = urlsplit(address)
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((url.hostname or "127.0.0.1", url.port or 80)) == 0:
                    raise StackError(
                        f"port {url.port} is taken by another program; stop it, or set another "
                        f"FACTORY_{name.upper()} (now {address})"
                    )

    def _migrate_airflow(self, tell: Callable[[str], None]) -> None:
        """Make or upgrade Airflow's database; done again only when Airflow's version has changed."""
        from importlib.metadata import version

        marker, current = self.run_dir / "airflow.version", version("apache-airflow")
        if marker.is_file() and marker.read_text() == current:
            return
        tell("making Airflow's database (once)")
        (self.run_dir / "logs").mkdir(parents=True, exist_ok=True)
        log = self.run_dir / "logs" / "airflow-migrate.log"
        with log.open("w") as output:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(command, env=stack_environment(self.platform), stdout=output, stderr=output)
        if done.returncode:
            raise StackError(f"Airflow's database could not be made; read {log}")
        marker.write_text(current)

    def _write_config(self) -> None:
        """Write supervisord's configuration; secrets reach the programs through the environment, not this file."""
        logs = self.run_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        config = configparser.RawConfigParser()
        config["supervisord"] = {
            "logfile": str(logs / "supervisord.log"),
            "pidfile": str(self.run_dir / "supervisord.pid"),
            "childlogdir": str(logs),
            "directory": str(ROOT),
        }
        config["unix_http_server"] = {"file": str(self.socket), "chmod": "0700"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        config["supervisorctl"] = {"serverurl": f"unix://{self.socket}"}
        for name, command in self.programs().items():
            config[f"program:{name}"] = {
                "command": command.replace("%", "%%"),
                "directory": str(ROOT),
                "autorestart": "true",
                "startsecs": "3",
                "startretries": "5",
                "stopsignal": "INT",
                "stopwaitsecs": "20",
                "stopasgroup": "true",
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": str(logs / f"{name}.log"),
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "1",
            }
        with self.config.open("w", encoding="utf-8") as file:
            config.write(file)

    def _control(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.config), *words]
        return subprocess.run(command, capture_output=True, text=True)


def _healthy(address: str, platform: Platform) -> bool:
    """Tell whether a service answers, and for Airflow whether each of its components beats."""
    ours = platform.serving_url.startswith("https:") and address.startswith(platform.serving_url)
    verify = client_context(platform) if ours else True
    try:
        response = httpx.get(address, timeout=3, trust_env=False, verify=verify)
        if response.status_code != httpx.codes.OK or not address.endswith("/monitor/health"):
            return response.status_code == httpx.codes.OK
        components = response.json()
    except (httpx.HTTPError, ValueError):
        return False
    return all(component.get("status") == "healthy" for component in components.values())
