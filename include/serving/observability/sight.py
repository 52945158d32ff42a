"""What is to be seen of single requests where the settings ask for it: the access log, and traces."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import perf_counter

from include.serving.http.paths import DataPath
from include.serving.observability.access_log import AccessLog
from include.serving.observability.tracing import Attribute, Trace, Tracer, tracer
from include.specs import Platform

UNKNOWN_PATH = "unknown"
"""Stands for a path that is no endpoint: a caller chose it, so it is not written."""


class Seen:
    """One request that is looked at. The parts that answer it say what they did, and how long that took.

    Attributes:
        path: template of the endpoint.
        caller: name of the key.
        rows: rows that were asked for.
        batch_rows: rows that were predicted together with them, themselves included; 0 while that is not known.
    """

    __slots__ = ("_access_log", "_trace", "batch_rows", "caller", "method", "path", "request_id", "rows", "started")

    def __init__(self, request_id: str, method: str, trace: Trace | None, access_log: AccessLog | None) -> None:
        self.request_id, self.method, self._trace, self._access_log = request_id, method, trace, access_log
        self.started, self.path, self.caller, self.rows, self.batch_rows = perf_counter(), UNKNOWN_PATH, "", 0, 0

    @property
    def traced(self) -> bool:
        """Whether phases are recorded; without that only the end of the request matters."""
        return self._trace is not None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What the answer says about its trace."""
        return (("traceresponse", self._trace.response),) if self._trace else ()

    def mark(self, phase: str) -> None:
        """Say that ``phase`` has lasted from the last mark until now."""
        if self._trace is not None:
            batch = {"factory.batch_rows": self.batch_rows} if phase == "predict" and self.batch_rows else {}
            self._trace.mark(phase, batch)

    def note(self, **attributes: Attribute) -> None:
        """Say what has become known of the request: its model, version, variant."""
        if self._trace is not None:
            self._trace.note(**attributes)

    def end(self, status: int) -> None:
        """Say how the request was answered."""
        if self._trace is not None:
            self._trace.note(rows=self.rows, caller=self.caller)
            self._trace.end(self.method, self.path, status)
        if self._access_log is not None:
            milliseconds = (perf_counter() - self.started) * 1000
            self._access_log.note(self.request_id, self.method, self.path, status, milliseconds, self.rows, self.caller)


class Sight:
    """Looks at every request; there is none while neither access log nor traces are asked for."""

    def __init__(self, access_log: AccessLog | None, traces: Tracer | None) -> None:
        self._access_log, self._tracer = access_log, traces

    def begin(self, request_id: str, method: str, header: Callable[[str], str | None]) -> Seen:
        """Return what follows one request."""
        trace = self._tracer.begin(header, method, request_id) if self._tracer else None
        return Seen(request_id, method, trace, self._access_log)

    async def follow(self) -> None:
        """Write the access log; runs until cancelled."""
        if self._access_log is not None:
            await self._access_log.follow()

    def close(self) -> None:
        """Send the last spans."""
        if self._tracer is not None:
            self._tracer.close()


def sight(platform: Platform) -> Sight | None:
    """Return what looks at requests, or None when nothing is to be seen of them."""
    settings, traces = platform.serving, tracer(platform)
    if not settings.access_log and traces is None:
        return None
    lines = AccessLog(os.dup(sys.stderr.fileno()), settings.log_format == "json") if settings.access_log else None
    return Sight(lines, traces)


def template_of(path: str, data: DataPath) -> str:
    """Return the path of a data-plane request with what the caller chose left out."""
    for folder, name, value in (("models", "model", data.model), ("versions", "version", data.version)):
        if value:
            path = path.replace(f"/{folder}/{value}", f"/{folder}/{{{name}}}", 1)
    return path
