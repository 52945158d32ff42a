"""Bring a registered version into the package cache: a process of its own, so that the server never holds MLflow.

``python -m include.serving.models.fetch MODEL VERSION``: exit code 3 means that there is no such version.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from include.serving.errors import ServingError, unavailable
from include.specs import FactoryError, Platform, load_platform
from include.store.mlflow_access import request_options
from include.store.packages import MANIFEST

ABSENT = 3
REGISTRY_SECONDS = 15.0
"""How long a request to load a version waits for a registry that is away."""


def cached(platform: Platform, model: str, version: str) -> Path | None:
    """Return the folder of a version that is in the cache, or None."""
    folder = platform.home / "cache" / "models" / model / version
    return folder if (folder / MANIFEST).is_file() else None


async def fetch(platform: Platform, model: str, version: str) -> None:
    """Bring ``version`` of ``model`` into the cache.

    Raises:
        ServingError: 404 there is no such version, 503 the registry does not answer or its files are not right.
    """
    patience = min(platform.service_retry_seconds, REGISTRY_SECONDS)
    environment = {**os.environ, "FACTORY_SERVICE_RETRY_SECONDS": str(patience)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "include.serving.models.fetch", model, version, env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    reason = errors.decode(errors="replace").strip().rsplit("\n", 1)[-1]
    if process.returncode == ABSENT:
        raise ServingError(404, "unknown_version", reason)
    if process.returncode:
        raise unavailable(f"'{model}' version {version} cannot be fetched: {reason}", seconds=10)


def champion_number(platform: Platform, model: str) -> str | None:
    """Return the number of the champion, or None when there is none; asked over REST, which costs no import of MLflow.

    Raises:
        ServingError: 503, the registry does not answer.
    """
    import httpx

    url = f"{platform.mlflow_uri.rstrip('/')}/api/2.0/mlflow/registered-models/alias"
    try:
        response = httpx.get(
            url, params={"name": model, "alias": "champion"}, timeout=5, trust_env=False, **request_options()
        )
        if response.status_code in (400, 404):
            return None
        return str(response.raise_for_status().json()["model_version"]["version"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        raise unavailable(f"the registry does not say which version of '{model}' is champion") from error


def main(model: str, version: str) -> int:
    """Fetch one version."""
    from include.registry.models import Registry

    try:
        registry = Registry(load_platform())
        found = registry.get(model, int(version))
        if found is not None:
            registry.fetch(found)
    except FactoryError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return 1
    if found is None:
        print(f"'{model}' has no version {version} in the registry", file=sys.stderr)
        return ABSENT
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
