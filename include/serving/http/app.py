"""What people, probes and operators ask, by FastAPI; the front answers predictions."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Path, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request

from include.serving.errors import ServingError, refusal
from include.serving.http.openapi import with_data_plane
from include.serving.http.operation import Operation
from include.serving.log.recorder import Recorder
from include.serving.models.host import NAME, VERSION, ModelHost
from include.serving.models.loaded import LoadedModel
from include.serving.observability import metrics
from include.serving.open_inference.endpoints import add_protocols
from include.serving.open_inference.repository import RELEASE
from include.serving.security.access import Access
from include.serving.security.guard import operation
from include.store.routes import Variant

Name = Annotated[str, Path(pattern=f"^{NAME.pattern}$", description="the model's name", examples=["churn"])]
Version = Annotated[str, Path(pattern=f"^{VERSION.pattern}$", description="the version's number", examples=["1"])]


class VariantBody(BaseModel):
    """A version in a role."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", examples=["champion"])
    version: str = Field(pattern=f"^{VERSION.pattern}$", examples=["1"], coerce_numbers_to_str=True)
    weight: int = Field(ge=0, le=100, examples=[100])
    shadow: bool = False


class RouteBody(BaseModel):
    """The variants of a model; the weights of those that answer add up to 100."""

    model_config = ConfigDict(extra="forbid")

    variants: list[VariantBody] = Field(min_length=1, max_length=16)


def build(host: ModelHost, operate: Operation, recorder: Recorder, access: Access, max_rows: int) -> FastAPI:
    """Return what answers all but the data plane."""
    app = FastAPI(title="Model Factory model server", version=RELEASE, docs_url=None, redoc_url=None)
    _add_errors(app)
    _add_health(app, host, recorder)
    _add_operation(app, host, operate, operation(access))
    add_protocols(app, host, max_rows)

    def document() -> dict[str, Any]:
        return with_data_plane(get_openapi(title=app.title, version=app.version, routes=app.routes), host)

    app.openapi = document  # type: ignore[method-assign]
    return app


def _add_errors(app: FastAPI) -> None:
    """Give FastAPI's errors the shape of all others."""

    def shown(request: Request, error: ServingError) -> JSONResponse:
        status, body = refusal(error, request.url.path)
        return JSONResponse(body, status, error.headers)

    @app.exception_handler(ServingError)
    async def on_error(request: Request, error: ServingError) -> JSONResponse:
        return shown(request, error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        details = [{"where": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in error.errors()]
        return shown(request, ServingError(422, "invalid_request", "the request cannot be read", details))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        codes = {404: "not_found", 405: "method_not_allowed"}
        code = codes.get(error.status_code, "invalid_request")
        headers = _allow(app, request.url.path) if error.status_code == 405 else error.headers
        return shown(request, ServingError(error.status_code, code, str(error.detail), headers=headers))


def _allow(app: FastAPI, path: str) -> dict[str, str]:
    """Return the header that names every method of ``path``, wherever each of them is defined."""
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.path_regex.match(path)]
    return {"allow": ", ".join(sorted({method for route in routes for method in route.methods}))}


def _add_health(app: FastAPI, host: ModelHost, recorder: Recorder) -> None:
    @app.get("/health", tags=["health"])
    async def health() -> dict[str, Any]:
        """Say how the server is: its models, and what waits for the prediction log."""
        status = "starting" if not host.ready else "degraded" if host.failures else "ok"
        return {
            "status": status,
            "ready": host.ready,
            "models": {name: name in host.served for name in host.models},
            "failures": host.failures,
            "log": {"backlog_bytes": await asyncio.to_thread(recorder.backlog)},
        }

    @app.get("/health/live", tags=["health"])
    async def live() -> dict[str, bool]:
        """Say that the process answers."""
        return {"live": True}

    @app.get("/health/ready", tags=["health"])
    async def ready() -> JSONResponse:
        """Say whether the routing table has been restored: 200, or 503 before that."""
        return JSONResponse({"ready": host.ready}, 200 if host.ready else 503)

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def scrape() -> Response:
        """Return the metrics for Prometheus."""
        metrics.LOG_BACKLOG.set(await asyncio.to_thread(recorder.backlog))
        host.measure()
        metrics.flush()
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/models", tags=["models"])
    async def models() -> dict[str, Any]:
        """List the models, their route, and the versions in memory."""
        return {"models": [_described(host, name) for name in host.models]}


def _described(host: ModelHost, name: str) -> dict[str, Any]:
    served = host.served.get(name)
    return {
        "name": name,
        "ready": served is not None,
        "route": served.route.as_dict() if served else None,
        "versions": [_version(model) for model in host.versions(name).values()],
        "failure": host.failures.get(name),
    }


def _version(model: LoadedModel) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "version": model.version,
        "task": manifest.task,
        "algorithm": manifest.algorithm,
        "trained_at": manifest.trained_at.isoformat(),
        "features": [field.model_dump() for field in manifest.features],
        "classes": manifest.classes,
        "by_entity": manifest.feature_service is not None,
        "load_ms": round(model.load_ms, 1),
    }


def _add_operation(app: FastAPI, host: ModelHost, operate: Operation, guarded: dict[str, Any]) -> None:
    @app.get("/v1/routes/{model}", **guarded)
    async def get_route(model: Name) -> dict[str, Any]:
        """Return the route of a model as it is served."""
        return host.find(model)[0].route.as_dict()

    @app.put("/v1/routes/{model}", **guarded)
    async def put_route(model: Name, body: RouteBody) -> dict[str, Any]:
        """Replace the route of a model: loads and warms what it needs, writes it down, swaps, answers."""
        route = await operate.put(model, [Variant(**variant.model_dump()) for variant in body.variants])
        return route.as_dict()

    @app.delete("/v1/routes/{model}", **guarded)
    async def delete_route(model: Name) -> dict[str, Any]:
        """Take a model out: none of its versions answers any more."""
        await operate.delete(model)
        return {"model": model, "deleted": True}

    @app.post("/v1/models/{model}/versions/{version}/load", **guarded)
    async def load(model: Name, version: Version) -> dict[str, Any]:
        """Load and warm a version without giving it traffic."""
        return {"ready": True, "load_ms": round((await operate.load(model, version)).load_ms, 1)}

    @app.get("/v1/models/{model}/statistics", **guarded)
    async def statistics(model: Name) -> dict[str, Any]:
        """Return what each variant did since the current revision of the route."""
        return await operate.statistics(model)
