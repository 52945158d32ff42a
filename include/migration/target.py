"""The stores that the factory moves to, from a file of settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from include.migration.part import MigrationError
from include.specs import Platform

BACKEND, DESTINATION = "MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"


@dataclass(frozen=True)
class Target:
    """Where everything goes.

    Attributes:
        platform: the settings that the factory will run with.
        mlflow_database: what its MLflow server will be given by MLFLOW_BACKEND_STORE_URI.
        mlflow_artifacts: likewise, by MLFLOW_ARTIFACTS_DESTINATION.
    """

    platform: Platform
    mlflow_database: SecretStr
    mlflow_artifacts: str


def read_target(file: Path) -> Target:
    """Return the target that ``file`` names, and take over its AWS_* variables.

    A file ``*.yaml`` is a platform file, and secrets come from the environment; any other holds lines NAME=value, as
    ``.env`` does. FACTORY_* variables of this process count for a platform file alone.

    Raises:
        MigrationError: there is no such file, or it does not name every store; the message lists what is missing.
    """
    from dotenv import dotenv_values

    if not file.is_file():
        raise MigrationError(f"there is no file {file}; name the settings of the real stores by TO=<file>")
    if file.suffix in (".yaml", ".yml"):
        settings = {"FACTORY_PLATFORM_FILE": str(file.resolve())}
        for name in (BACKEND, DESTINATION):
            settings |= {name: os.environ[name]} if name in os.environ else {}
    else:
        settings = {name: value for name, value in dotenv_values(file).items() if value}
        for name in [name for name in os.environ if name.startswith("FACTORY_")]:
            if name not in ("FACTORY_HOME", "FACTORY_SERVICE_RETRY_SECONDS"):
                del os.environ[name]
    os.environ.update(settings)
    try:
        platform = Platform()
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise MigrationError(f"{file}: wrong value of {wrong}; see docs/reference.md") from None
    if missing := _missing(platform):
        raise MigrationError(f"{file}: {'; '.join(missing)}")
    return Target(platform, SecretStr(os.environ[BACKEND]), os.environ[DESTINATION])


def _missing(platform: Platform) -> list[str]:
    """Return what a move needs and the settings do not name."""
    missing = []
    if urlsplit(platform.artifacts_uri).scheme in ("", "file"):
        missing.append("FACTORY_ARTIFACTS_URI must be s3://bucket/prefix, or another store that all machines reach")
    for name, uri in (
        ("FACTORY_DATABASE_URI", platform.database_uri.get_secret_value()),
        ("FACTORY_OPTUNA_URI", platform.optuna_uri.get_secret_value()),
        (BACKEND, os.environ.get(BACKEND, "")),
    ):
        if not uri.startswith("postgresql"):
            missing.append(f"{name} must be postgresql+psycopg://user:password@host/database")
    if not os.environ.get(DESTINATION):
        missing.append(f"{DESTINATION} must be s3://bucket/prefix, as the MLflow server will get it")
    return missing
