"""Addresses of artifacts for people: the factory's page in the Airflow UI serves them."""

from __future__ import annotations

from urllib.parse import quote

from include.specs.platform import Platform


def artifact_url(platform: Platform, model: str, run: str, task: str, file: str) -> str:
    """Return the URL under which a person reads ``file`` of a task's folder."""
    path = "/".join(quote(part, safe="") for part in (model, run, task, *file.split("/")))
    return f"{platform.airflow_url.rstrip('/')}/factory/artifacts/{path}"
