"""Every real store of a factory at once: PostgreSQL, S3, Redis, and an MLflow server upon them that asks for a password."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import sqlalchemy as sa

from include.store.postgres import make_database
from tests.integration.conftest import free_port, running
from tests.integration.s3 import name_server, new_bucket

USER, PASSWORD = "factory", "correct-horse-battery"
AUTH = """[mlflow]
default_permission = READ
database_uri = {database}
admin_username = factory
admin_password = correct-horse-battery
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


class Stores:
    """What the stores are called by, and the MLflow server that can be started upon them.

    Attributes:
        settings: FACTORY_*, MLFLOW_* and AWS_* variables that name every store.
    """

    def __init__(self, postgres_uri: str, endpoint: str, keys: dict[str, str], folder: Path) -> None:
        self.folder, self._stack, self._mark = folder, ExitStack(), uuid.uuid4().hex[:8]
        server = sa.make_url(postgres_uri).set(drivername="postgresql+psycopg")

        def database(name: str) -> str:
            return server.set(database=f"{name}_{self._mark}").render_as_string(hide_password=False)

        with pytest.MonkeyPatch.context() as patch:
            name_server(patch, endpoint, keys)
            self.bucket = new_bucket()
        feast = database("feast")
        make_database(feast)
        place = {
            "host": server.host,
            "port": server.port,
            "database": sa.make_url(feast).database,
            "sslmode": "disable",
        }
        place |= {"user": server.username, "password": server.password}
        self.redis = self._stack.enter_context(redis_running(folder))
        self.settings = {
            **keys,
            "AWS_ENDPOINT_URL": endpoint,
            "FACTORY_ARTIFACTS_URI": f"s3://{self.bucket}/factory",
            "FACTORY_DATABASE_URI": database("factory"),
            "FACTORY_OPTUNA_URI": database("optuna"),
            "FACTORY_MLFLOW_URI": f"http://127.0.0.1:{free_port()}",
            "FACTORY_FEAST__REGISTRY": json.dumps({"registry_type": "sql", "path": feast}),
            "FACTORY_FEAST__ONLINE_STORE": json.dumps({"type": "redis", "connection_string": self.redis}),
            "FACTORY_FEAST__OFFLINE_STORE": json.dumps({"type": "postgres", **place}),
            "MLFLOW_BACKEND_STORE_URI": database("mlflow"),
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{self.bucket}/mlflow",
            "MLFLOW_TRACKING_USERNAME": USER,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }

    def start_mlflow(self) -> None:
        """Start the MLflow server, with basic auth; it runs until `close`."""
        make_database(self.settings["MLFLOW_BACKEND_STORE_URI"])
        config = self.folder / "auth.ini"
        config.write_text(AUTH.format(database=f"sqlite:///{self.folder / 'auth.db'}"))
        uri = self.settings["FACTORY_MLFLOW_URI"]
        environment = {
            **self.settings,
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": uuid.uuid4().hex,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [str(Path(sys.executable).parent / "mlflow"), "server", "--app-name", "basic-auth", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(urlsplit(uri).port)]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            self._stack.enter_context(running(command, f"{uri}/health", self.folder / "mlflow.log", seconds=240))

    def env_file(self) -> Path:
        """Return a file with every setting, as a person would write it."""
        file = self.folder / "real.env"
        file.write_text("".join(f"{name}='{value}'\n" for name, value in self.settings.items()))
        return file

    def close(self) -> None:
        """Stop what was started."""
        self._stack.close()


@contextmanager
def redis_running(folder: Path) -> Iterator[str]:
    """Run a Redis server until the block ends; give its address as Feast writes it."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def clean_environment(patch: pytest.MonkeyPatch) -> None:
    """Forget every setting that a test before may have left in this process."""
    for name in [name for name in os.environ if name.startswith(("FACTORY_", "AWS_", "MLFLOW_"))]:
        if not name.startswith("FACTORY_TEST_"):
            patch.delenv(name)
