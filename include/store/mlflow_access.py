"""Who the factory is to the MLflow server, for requests that do without MLflow's own client: the same variables."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from include.specs.platform import Platform


def shown_uri(platform: Platform) -> str:
    """Return the server's address without a user or a password: for links and messages."""
    parts = urlsplit(platform.mlflow_uri.rstrip("/"))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def request_options() -> dict[str, Any]:
    """Return the arguments of an httpx request that say who asks and which authority is trusted.

    Read from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN,
    MLFLOW_TRACKING_SERVER_CERT_PATH and MLFLOW_TRACKING_INSECURE_TLS, as MLflow's client does.
    """
    options: dict[str, Any] = {}
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        options["auth"] = (user, password)
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        options["headers"] = {"Authorization": f"Bearer {token}"}
    if authority := os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
        import ssl

        options["verify"] = ssl.create_default_context(cafile=authority)
    elif os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true":
        options["verify"] = False
    return options
