"""Fill in the secrets of the compose stack that an environment file lacks: ``environment.py .env``. What it has stands.

Only Python's own library is needed. The file is readable by its owner alone.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from pathlib import Path

SECRETS = (
    "POSTGRES_PASSWORD", "AIRFLOW_DB_PASSWORD", "MLFLOW_DB_PASSWORD", "FACTORY_DB_PASSWORD", "REDIS_PASSWORD",
    "S3_ACCESS_KEY", "S3_SECRET_KEY", "AIRFLOW_SECRET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_FERNET_KEY",
    "FACTORY_AIRFLOW_PASSWORD", "MLFLOW_PASSWORD", "MLFLOW_SECRET_KEY", "FACTORY_SERVING_KEY", "GRAFANA_PASSWORD",
)  # fmt: skip


def complete(file: Path) -> list[str]:
    """Append a random value for each secret that ``file`` does not set; return the names that were added."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    known = set(re.findall(r"^\s*([A-Z][A-Z0-9_]*)=.+$", text, flags=re.MULTILINE))
    missing = [name for name in SECRETS if name not in known]
    if not missing:
        return []
    lines = ["", "# The compose stack's secrets, made by `make up`.", *(f"{name}={_value(name)}" for name in missing)]
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    file.chmod(0o600)
    return missing


def _value(name: str) -> str:
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(10 if name == "S3_ACCESS_KEY" else 20)  # letters and digits: it becomes part of URIs


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if added := complete(place):
        print(f"{place}: made {', '.join(added)}")
