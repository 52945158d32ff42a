"""Start the MLflow server with what the environment says; its own variables (MLFLOW_…) are explained by MLflow.

With MLFLOW_AUTH_DATABASE_URI the server asks for a user and a password, whose table is there; the first user is
MLFLOW_AUTH_ADMIN_USERNAME with MLFLOW_AUTH_ADMIN_PASSWORD. MLflow reads that address from a file alone, so
one is written into the home, readable by its owner.
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path


def auth_file(home: Path, database: str) -> Path:
    """Write the configuration of MLflow's basic authentication and return its place."""
    config = configparser.RawConfigParser()
    config["mlflow"] = {
        "default_permission": "READ",
        "database_uri": database.replace("%", "%%"),  # MLflow reads the file with interpolation
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "grant_default_workspace_access": "false",
    }
    file = home / "auth.ini"
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        config.write(stream)
    return file


def main() -> None:
    """Become the server; a variable that is missing ends it with a message."""
    needed = ["MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"]
    command = [sys.executable, "-m", "mlflow", "server"]
    if database := os.environ.get("MLFLOW_AUTH_DATABASE_URI"):
        needed += ["MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"]
        os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(auth_file(Path(os.environ["HOME"]), database))
        command += ["--app-name", "basic-auth"]
    if missing := [name for name in needed if not os.environ.get(name)]:
        sys.exit(f"{', '.join(missing)} not set: name them in the container's environment (docs/compose.md)")
    os.execv(sys.executable, [*command, *sys.argv[1:]])  # noqa: S606 - it becomes the server


if __name__ == "__main__":
    main()
