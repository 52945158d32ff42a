"""The environment of the embedded stack: what Airflow, MLflow and the model server are told."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from include.specs import ROOT, Platform

ADMIN = "admin"
PARSED_EVERY, PARSED_SECONDS = "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL", "30"
"""Seconds until a new spec is seen; with many models, and pods, set more: docs/airflow.md says what a pass costs."""


def stack_secrets(platform: Platform) -> dict[str, str]:
    """Return the stack's secrets, made at the first start and kept readable by their owner alone."""
    path = platform.home / "secrets.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {name: secrets.token_urlsafe(24) for name in ("airflow_password", "airflow_jwt", "airflow_secret")}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def stack_environment(platform: Platform) -> dict[str, str]:
    """Return the environment in which every process of the stack runs; nothing in it phones home."""
    kept = stack_secrets(platform)
    airflow_home = platform.home / "airflow"
    airflow_home.mkdir(parents=True, exist_ok=True)
    passwords = airflow_home / "passwords.json"
    if not passwords.is_file():
        with os.fdopen(os.open(passwords, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            json.dump({ADMIN: kept["airflow_password"]}, file)
    airflow = urlsplit(platform.airflow_url)
    own = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "NO_PROXY": "127.0.0.1,localhost",
        "DO_NOT_TRACK": "true",
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait take the core from those that work
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_TRACKING_URI": platform.mlflow_uri,
        "FACTORY_HOME": str(platform.home),
        "FACTORY_RUNTIME": platform.runtime,
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__API__BASE_URL": platform.airflow_url,
        "AIRFLOW__API__HOST": airflow.hostname or "127.0.0.1",
        "AIRFLOW__API__PORT": str(airflow.port or 8080),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": kept["airflow_secret"],
        "AIRFLOW__API_AUTH__JWT_SECRET": kept["airflow_jwt"],
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{platform.airflow_url.rstrip('/')}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LAZY_LOAD_PLUGINS": "False",  # the plugin imports ahead of forks
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        PARSED_EVERY: os.environ.get(PARSED_EVERY, PARSED_SECONDS),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(airflow_home / "logs"),
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",  # those of a scheduler that was killed
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return os.environ | own
