"""What the server answers when it cannot answer: one shape, a precise status, and every reason at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.specs import FactoryError

MAX_DETAILS = 50


class ServingError(FactoryError):
    """A request that gets no prediction.

    Attributes:
        status: HTTP status.
        code: stable word for programs, such as ``unknown_model``.
        details: one ``{"where", "message"}`` a reason.
        headers: extra response headers, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Sequence[dict[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.details = list(details)
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return ``{"error": {"code", "message", "details"}}``; a long list of details is cut, and says so."""
        shown = self.details[:MAX_DETAILS]
        if (more := len(self.details) - len(shown)) > 0:
            shown = [*shown, {"where": "", "message": f"and {more} more"}]
        return {"error": {"code": self.code, "message": self.message, "details": shown}}

    def invocation_body(self) -> dict[str, Any]:
        """Return the error as MLflow's scoring server gives it: ``{"error_code", "message"}``."""
        codes = {400: "BAD_REQUEST", 404: "RESOURCE_DOES_NOT_EXIST", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
        code = codes.get(self.status, "BAD_REQUEST" if self.status < 500 else "INTERNAL_ERROR")
        return {"error_code": code, "message": self.protocol_body()["error"]}

    def protocol_body(self) -> dict[str, Any]:
        """Return the error as the Open Inference Protocol wants it: ``{"error": text}``."""
        details = "; ".join(f"{item['where']}: {item['message']}" for item in self.details[:MAX_DETAILS])
        return {"error": f"{self.message}: {details}" if details else self.message}


def refusal(error: ServingError, path: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error in the shape that the protocol of ``path`` wants."""
    if path.startswith("/v2"):
        return error.status, error.protocol_body()
    if path == "/invocations":  # MLflow knows no 422: what cannot be read is a bad request
        status = 400 if error.status == 422 else error.status
        return status, error.invocation_body()
    if path.startswith("/v1/models/") and path.endswith((":predict", ":explain")):
        return error.status, error.protocol_body()
    return error.status, error.body()


def overloaded(message: str, seconds: int = 1) -> ServingError:
    """Return a 503 that says when to come back."""
    return ServingError(503, "overloaded", message, headers={"retry-after": str(seconds)})


def unavailable(message: str, seconds: int = 5) -> ServingError:
    """Return a 503 for something that the server needs and does not have now."""
    return ServingError(503, "unavailable", message, headers={"retry-after": str(seconds)})
