"""The registry's aliases of every model, by one short call to MLflow's REST interface."""

from __future__ import annotations

import httpx

from include.specs import Platform
from include.store.mlflow_access import request_options
from include.workflow.page.overview import Versions

TIMEOUT_SECONDS = 2.0


async def read_versions(platform: Platform) -> dict[str, Versions] | None:
    """Return champion and challenger by model, or None when MLflow does not answer at once."""
    found: dict[str, Versions] = {}
    token = ""
    try:
        async with httpx.AsyncClient(
            base_url=platform.mlflow_uri, timeout=TIMEOUT_SECONDS, **request_options()
        ) as client:
            while True:
                query = {"max_results": "1000", **({"page_token": token} if token else {})}
                answer = await client.get("/api/2.0/mlflow/registered-models/search", params=query)
                answer.raise_for_status()
                page = answer.json()
                for model in page.get("registered_models", []):
                    aliases = {alias["alias"]: alias["version"] for alias in model.get("aliases", [])}
                    found[model["name"]] = Versions(aliases.get("champion"), aliases.get("challenger"))
                if not (token := page.get("next_page_token", "")):
                    return found
    except (httpx.HTTPError, ValueError):
        return None
