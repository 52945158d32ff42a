"""What other protocols ask beside predictions: health and metadata for the Open Inference Protocol, MLflow, KServe."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StrictBool

from include.serving.models.host import ModelHost
from include.serving.open_inference import repository

Name = Annotated[str, Path(description="the model's name", examples=["churn"])]
Version = Annotated[str, Path(description="the version's number", examples=["1"])]


class IndexBody(BaseModel):
    """What of the repository to list."""

    ready: StrictBool = False


def add_protocols(app: FastAPI, host: ModelHost, max_rows: int) -> None:
    """Add the paths to ``app``."""
    _add_statistics(app, host)  # its /v2/models/stats comes before /v2/models/{model}
    _add_open_inference(app, host)
    _add_repository(app, host, max_rows)
    _add_mlflow(app)
    _add_kserve(app, host)


def _add_open_inference(app: FastAPI, host: ModelHost) -> None:
    tags: dict[str, Any] = {"tags": ["open inference protocol"]}

    @app.get("/v2", **tags)
    async def server() -> dict[str, Any]:
        """Return the server's metadata."""
        return repository.server_metadata()

    @app.get("/v2/health/live", **tags)
    async def live() -> dict[str, bool]:
        """Say that the process answers."""
        return {"live": True}

    @app.get("/v2/health/ready", **tags)
    async def ready() -> JSONResponse:
        """Say whether every model that could be loaded is."""
        return JSONResponse({"ready": host.ready}, 200 if host.ready else 503)

    @app.get("/v2/models/{model}", **tags)
    async def metadata(model: Name) -> dict[str, Any]:
        """Return a model's metadata: its input and output tensors."""
        return repository.model_metadata(host, model, None)

    @app.get("/v2/models/{model}/versions/{version}", **tags)
    async def version_metadata(model: Name, version: Version) -> dict[str, Any]:
        """Return the metadata of one version."""
        return repository.model_metadata(host, model, version)

    @app.get("/v2/models/{model}/ready", **tags)
    async def model_ready(model: Name) -> dict[str, Any]:
        """Say that a model is loaded."""
        repository.loaded(host, model, None)
        return {"name": model, "ready": True}

    @app.get("/v2/models/{model}/versions/{version}/ready", **tags)
    async def version_ready(model: Name, version: Version) -> dict[str, Any]:
        """Say that one version is loaded."""
        repository.loaded(host, model, version)
        return {"name": model, "version": version, "ready": True}


def _add_repository(app: FastAPI, host: ModelHost, max_rows: int) -> None:
    tags: dict[str, Any] = {"tags": ["open inference protocol"]}

    @app.get("/v2/models/{model}/config", **tags)
    async def configuration(model: Name) -> dict[str, Any]:
        """Describe a model in the terms of Triton's model configuration."""
        return repository.configuration(host, model, None, max_rows)

    @app.get("/v2/models/{model}/versions/{version}/config", **tags)
    async def version_configuration(model: Name, version: Version) -> dict[str, Any]:
        """Describe one version likewise."""
        return repository.configuration(host, model, version, max_rows)

    @app.post("/v2/repository/index", **tags)
    async def index(body: IndexBody | None = None) -> list[dict[str, str]]:
        """List the versions in memory, and the models that could not be loaded."""
        return repository.index(host, only_ready=body is not None and body.ready)


def _add_statistics(app: FastAPI, host: ModelHost) -> None:
    tags: dict[str, Any] = {"tags": ["open inference protocol"]}

    @app.get("/v2/models/stats", **tags)
    async def everything() -> dict[str, Any]:
        """Return what each version of each model did."""
        return {"model_stats": repository.statistics(host, None, None)}

    @app.get("/v2/models/{model}/stats", **tags)
    async def of_model(model: Name) -> dict[str, Any]:
        """Return what each version of a model did."""
        return {"model_stats": repository.statistics(host, model, None)}

    @app.get("/v2/models/{model}/versions/{version}/stats", **tags)
    async def of_version(model: Name, version: Version) -> dict[str, Any]:
        """Return what one version did."""
        return {"model_stats": repository.statistics(host, model, version)}


def _add_mlflow(app: FastAPI) -> None:
    tags: dict[str, Any] = {"tags": ["mlflow"]}

    @app.get("/ping", response_class=Response, **tags)
    async def ping() -> Response:
        """Say that the process answers, as MLflow's scoring server does."""
        return Response("\n", media_type="application/json")

    @app.get("/version", response_class=Response, **tags)
    async def version() -> Response:
        """Return the version of this server."""
        return Response(repository.RELEASE, media_type="text/plain")


def _add_kserve(app: FastAPI, host: ModelHost) -> None:
    tags: dict[str, Any] = {"tags": ["kserve v1"]}

    @app.get("/", **tags)
    async def alive() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "alive"}

    @app.get("/v1/models", **tags)
    async def models() -> dict[str, list[str]]:
        """List the models."""
        return {"models": host.models}

    @app.get("/v1/models/{model}", **tags)
    async def model_ready(model: Name) -> dict[str, Any]:
        """Say that a model is loaded."""
        repository.loaded(host, model, None)
        return {"name": model, "ready": True}
