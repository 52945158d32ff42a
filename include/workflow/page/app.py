"""The page's web application: it runs inside Airflow's API server, under ``/factory``, behind Airflow's login."""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.specs import FactoryError, SpecError, TemporarilyUnavailableError, load_all, load_platform, load_spec
from include.store.artifacts import ArtifactStore
from include.store.links import artifact_url
from include.store.mlflow_access import shown_uri
from include.store.runs import RunFolder
from include.workflow.page.overview import PATIENCE_SECONDS, Versions, view, views
from include.workflow.page.versions import read_versions

SERVED = {".html", ".json", ".md", ".png", ".csv", ".css", ".svg", ".txt"}
"""Kinds of artifact that the page shows; everything else is fetched from the store by those who may."""
SANDBOX = (
    "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-downloads; "
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'none'; form-action 'none'"
)
"""A report's own scripts run, but in an origin of their own: they cannot act as the person who reads the report, and
load nothing from elsewhere."""
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'"
RUNS_PER_PIPELINE = 10


class LoginNeededError(Exception):
    """Nobody is logged in; the person is sent to Airflow's login page and back."""


async def reader(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> None:
    """Let through whoever may read DAGs in Airflow.

    Raises:
        LoginNeededError: nobody is logged in.
        HTTPException: 403, this person may not.
    """
    try:
        user = await get_user(request, None, bearer)
    except HTTPException as error:
        if bearer is None:
            raise LoginNeededError from error
        raise
    if not await run_in_threadpool(get_auth_manager().is_authorized_dag, method="GET", user=user):
        raise HTTPException(403, "You may not read DAGs in this Airflow.")


def make_app() -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Model factory", docs_url=None, redoc_url=None, openapi_url=None)
    guard = [Depends(reader)]
    app.add_api_route("/", overview, response_class=HTMLResponse, dependencies=guard)
    app.add_api_route("/models/{model}", model_page, response_class=HTMLResponse, dependencies=guard)
    app.add_api_route("/artifacts/{model}/{run}/{task}/{file:path}", artifact, dependencies=guard)
    app.add_exception_handler(LoginNeededError, _to_login)
    app.add_exception_handler(FactoryError, _told)
    return app


async def overview() -> HTMLResponse:
    """One row for each model."""
    platform = load_platform()
    aliases = await read_versions(platform)
    catalogue = await run_in_threadpool(load_all)
    rows = await run_in_threadpool(views, platform, catalogue, aliases or {})
    return _render("overview.html", models=rows, problems=catalogue.problems, registry=aliases is not None)


async def model_page(model: str) -> HTMLResponse:
    """One model: its last runs, step by step, its windows and its retrainings."""
    platform = load_platform()
    try:
        spec = load_spec(model)
    except SpecError as error:
        raise HTTPException(404, str(error)) from error
    aliases = await read_versions(platform)
    found = await run_in_threadpool(
        view, platform, spec, (aliases or {}).get(model, Versions()), each=RUNS_PER_PIPELINE
    )
    return _render("model.html", model=found, registry=aliases is not None)


def artifact(model: str, run: str, task: str, file: str) -> Response:
    """Return one file of a task's folder.

    Raises:
        HTTPException: 404, there is no such file; 415, it is of a kind that the page does not show.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in SERVED:
        raise HTTPException(415, f"'{file}' is not shown here; the page shows {', '.join(sorted(SERVED))}.")
    platform = load_platform()
    store = ArtifactStore(platform.artifacts_uri, PATIENCE_SECONDS)
    if task.startswith(".") or "/" in task:
        raise HTTPException(404, "There is no such artifact.")
    try:
        content = store.read_bytes(RunFolder(store, model, run).path(task, file))
    except TemporarilyUnavailableError:
        raise
    except (FactoryError, ValueError) as error:
        raise HTTPException(404, "There is no such artifact; the run may have been removed.") from error
    kind = "text/plain" if suffix in {".md", ".csv"} else mimetypes.types_map.get(suffix, "text/plain")
    headers = {
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return Response(content, media_type=f"{kind}; charset=utf-8" if kind.startswith("text/") else kind, headers=headers)


async def _to_login(request: Request, _error: Exception) -> Response:
    return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)))


async def _told(_request: Request, error: Exception) -> Response:
    return _render("error.html", 503, message=str(error))


def _render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    platform = load_platform()
    text = (
        _templates()
        .get_template(template)
        .render(
            airflow=platform.airflow_url.rstrip("/"),
            mlflow=shown_uri(platform),
            address_of=lambda result, file: artifact_url(platform, result.model, result.run, result.step, file),
            **values,
        )
    )
    headers = {"Content-Security-Policy": PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(text, status, headers)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    folder = Path(__file__).parent / "templates"
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
