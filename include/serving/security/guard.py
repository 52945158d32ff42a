"""The door of what FastAPI answers: who may ask it, declared beside each endpoint and shown in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request

from include.serving.security.access import OPERATE, Access

OPEN_PATHS = frozenset(
    {"/health", "/health/live", "/health/ready", "/metrics", "/v2/health/live", "/v2/health/ready", "/ping"}
)
"""What probes and scrapers ask, who hold no key; everything else asks for one as soon as there are any."""
_SCHEMES = (
    Security(HTTPBearer(auto_error=False, description="a key of this server")),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False, description="the same key, in a header of its own")),
)


class Operator:
    """A dependency that lets callers pass whose key has the role ``operate``."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def __call__(self, request: Request) -> None:
        """Refuse whoever may not operate the server.

        Raises:
            ServingError: 401 no key, 403 one without the role.
        """
        caller = self._access.caller(request.headers.get("authorization"), request.headers.get("x-api-key"))
        self._access.require(caller, OPERATE)


def operation(access: Access) -> dict[str, Any]:
    """Return what makes an endpoint one of operation: ``@app.get(path, **operation(access))``."""
    return {"dependencies": [Depends(Operator(access)), *_SCHEMES], "tags": ["operation"]}
