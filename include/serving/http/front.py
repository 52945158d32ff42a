"""The front of the server: an RSGI application that answers the data plane itself and hands on the rest.

Predictions and feedback are decoded by msgspec and answered here, without a framework in between; everything that
people and operators ask goes to FastAPI. Limits, request ids, error bodies and headers are the same for both.
"""

from __future__ import annotations

import re
from itertools import count
from time import time_ns
from typing import Any

from include.serving.errors import ServingError, refusal
from include.serving.http.bodies import BodyReader
from include.serving.http.bridge import App, ask
from include.serving.http.data_plane import Call, DataPlane, Reply
from include.serving.http.paths import DataPath, data_path
from include.serving.messages import ENCODER
from include.serving.models.predictor import log_failure
from include.serving.observability import metrics
from include.serving.observability.sight import Seen, Sight, template_of
from include.serving.security.access import PREDICT, Access, Caller
from include.serving.security.guard import OPEN_PATHS

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
Headers = tuple[tuple[str, str], ...]
_HEADERS: Headers = (("server", "model-factory"), ("x-content-type-options", "nosniff"), ("cache-control", "no-store"))
_JSON: Headers = (("content-type", "application/json"),)


class Front:
    """The RSGI application that granian runs."""

    def __init__(self, plane: DataPlane, rest: App, access: Access, bodies: BodyReader, sight: Sight | None) -> None:
        self._plane, self._rest, self._access, self._bodies, self._sight = plane, rest, access, bodies, sight
        self._numbers = count()
        self._boot = f"{time_ns():x}-"

    async def __call__(self, scope: Any, protocol: Any) -> None:
        """Answer one request.

        Args:
            scope: granian's view of the head; ``scope.headers`` is a mapping by lower-case names.
            protocol: granian's way to the body and back to the client.
        """
        path, headers = scope.path, scope.headers
        request_id = headers.get("x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._boot}{next(self._numbers):x}"
        seen = None if self._sight is None else self._sight.begin(request_id, scope.method, headers.get)
        status, more = 200, _JSON
        reply: bytes | Reply
        try:
            body = await self._bodies.read(headers, scope.http_version, protocol)
            if data := data_path(path):
                call = self._call(data, scope, body, request_id, seen)
                short = self._plane.at_once(call) if data.kind == "predict" else None
                reply = await (getattr(self._plane, data.kind)(call) if short is None else short)
            else:
                if path not in OPEN_PATHS:
                    self._caller(scope, headers, seen)
                reply = await ask(self._rest, scope, protocol, body, seen)
        except ServingError as error:
            reply = _refusal(error, path)
        except Exception as error:
            log_failure("a request broke", error, request_id)
            message = f"the server broke; its log knows request {request_id}"
            reply = _refusal(ServingError(500, "internal", message), path)
        if isinstance(reply, Reply):
            status, content = reply.status, reply.body
            named = any(name == "content-type" for name, _ in reply.headers)
            more = reply.headers if named else (*_JSON, *reply.headers)
        else:
            content = reply
        metrics.count_response(status)
        if seen is not None:
            more = (*more, *seen.headers)
            seen.end(status)
        protocol.response_bytes(status, [*more, *_HEADERS, ("x-request-id", request_id)], content)

    def _call(self, data: DataPath, scope: Any, body: bytes, request_id: str, seen: Seen | None) -> Call:
        """Return what the data plane is asked, by a caller that may ask it."""
        headers = scope.headers
        if seen is not None:
            seen.path = template_of(scope.path, data)
        if scope.method != "POST":
            raise ServingError(405, "method_not_allowed", "use POST", headers={"allow": "POST"})
        caller = self._caller(scope, headers, seen)
        self._access.require(caller, PREDICT)
        return Call(data.model, data.version, headers, body, caller, request_id, seen)

    def _caller(self, scope: Any, headers: Any, seen: Seen | None) -> Caller:
        """Return who calls.

        Raises:
            ServingError: 401, 403 the key is missing or wrong, 503 the keys are not known yet.
        """
        address = scope.client.rpartition(":")[0].strip("[]")
        caller = self._access.caller(headers.get("authorization"), headers.get("x-api-key"), address)
        if seen is not None:
            seen.caller = caller.name
        return caller


def _refusal(error: ServingError, path: str) -> Reply:
    """Return an error in the shape that the path's protocol wants."""
    status, shown = refusal(error, path)
    return Reply(ENCODER.encode(shown), status, tuple(error.headers.items()))
