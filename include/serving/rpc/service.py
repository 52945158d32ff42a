"""The services that gRPC callers ask; what they mean is in the room `include.serving.open_inference`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

import grpc

from include.serving.errors import ServingError
from include.serving.models.host import ModelHost
from include.serving.models.predictor import Asked, log_failure
from include.serving.open_inference import repository
from include.serving.open_inference.inference import OpenInference
from include.serving.rpc import health_pb2, health_pb2_grpc, open_inference_pb2_grpc
from include.serving.rpc import open_inference_pb2 as pb
from include.serving.rpc.convert import inference_of, response_to
from include.serving.security.access import OPERATE, PREDICT, Access, Caller

M = TypeVar("M")
SERVICES = ("", "inference.GRPCInferenceService")
LONGEST_MESSAGE = 1500
"""Characters of an error: it travels as a header, and clients take a few KiB of them."""
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Context(Protocol):
    """What is used of gRPC's context of a call."""

    def invocation_metadata(self) -> Any:
        """Return the headers of the call."""

    def peer(self) -> str:
        """Return the address of the caller."""

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        """End the call with an error."""


def _answers(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``method`` raise `ServingError`: the caller gets the status that stands for it."""

    @wraps(method)
    async def answer(self: Any, request: Any, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except ServingError as error:
            found = error
        except Exception as error:
            log_failure(f"gRPC call {method.__name__} broke", error)
            found = ServingError(500, "internal", "the server broke; its log says where")
        code = _CODES.get(found.status, grpc.StatusCode.INVALID_ARGUMENT)
        text = found.protocol_body()["error"][:LONGEST_MESSAGE]
        await context.abort(code, text, tuple(found.headers.items()))
        return None

    return answer


class InferenceService(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """The Open Inference Protocol."""

    def __init__(self, host: ModelHost, inference: OpenInference, access: Access) -> None:
        self._host, self._inference, self._access = host, inference, access

    @_answers
    async def ServerLive(self, _request: pb.ServerLiveRequest, _context: Context) -> pb.ServerLiveResponse:  # noqa: N802
        """Say that the process answers."""
        return pb.ServerLiveResponse(live=True)

    @_answers
    async def ServerReady(self, _request: pb.ServerReadyRequest, _context: Context) -> pb.ServerReadyResponse:  # noqa: N802
        """Say whether the routing table has been restored."""
        return pb.ServerReadyResponse(ready=self._host.ready)

    @_answers
    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802
        """Say that a model, or one of its versions, is in memory."""
        self._caller(context)
        self._host.find(request.name, request.version or None)
        return pb.ModelReadyResponse(ready=True)

    @_answers
    async def ServerMetadata(  # noqa: N802
        self, _request: pb.ServerMetadataRequest, _context: Context
    ) -> pb.ServerMetadataResponse:
        """Return the server's metadata."""
        return pb.ServerMetadataResponse(**repository.server_metadata())

    @_answers
    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802
        """Return a model's metadata."""
        self._caller(context)
        found = repository.model_metadata(self._host, request.name, request.version or None)
        return pb.ModelMetadataResponse(**found)

    @_answers
    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """Answer tensors."""
        caller = self._caller(context)
        headers = dict(context.invocation_metadata() or ())
        variant, version = headers.get("x-factory-variant"), request.model_version or None
        if variant is not None and version is not None:
            raise ServingError(400, "conflict", "x-factory-variant and a version exclude each other")
        probe = "x-factory-probe" in headers
        if probe:
            self._access.require(caller, OPERATE)
        asked = Asked(request.model_name, version, variant, probe, caller, headers.get("x-request-id", ""))
        return response_to(request, await self._inference.answer(asked, inference_of(request)))

    @_answers
    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """List the versions in memory, and the models that could not be loaded."""
        self._caller(context)
        return pb.RepositoryIndexResponse(models=repository.index(self._host, only_ready=request.ready))

    @_answers
    async def ModelStatistics(  # noqa: N802
        self, request: pb.ModelStatisticsRequest, context: Context
    ) -> pb.ModelStatisticsResponse:
        """Return what each version did."""
        self._caller(context)
        found = repository.statistics(self._host, request.name or None, request.version or None)
        return pb.ModelStatisticsResponse(model_stats=found)

    def _caller(self, context: Context) -> Caller:
        headers = dict(context.invocation_metadata() or ())
        address = unquote(context.peer()).partition(":")[2].rpartition(":")[0].strip("[]")
        caller = self._access.caller(headers.get("authorization"), headers.get("x-api-key"), address)
        self._access.require(caller, PREDICT)
        return caller


class HealthService(health_pb2_grpc.HealthServicer):
    """gRPC's own health protocol."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Say whether the server is ready."""
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service", ())
        states = health_pb2.HealthCheckResponse.ServingStatus
        return health_pb2.HealthCheckResponse(status=states.SERVING if self._host.ready else states.NOT_SERVING)
