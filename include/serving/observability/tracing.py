"""Traces by OpenTelemetry: a span a request, one below it for each phase; nothing is imported while they are off.

Spans go to an OTLP/HTTP collector from a thread of the SDK, through a bounded queue: a collector that is slow or away
costs spans, never an answer. They hold names, numbers and states, never a feature's value.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING

from include.specs import Platform

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from opentelemetry.trace import Tracer as OtelTracer

Attribute = str | int | float | bool
PARENT = ("traceparent", "tracestate")
ENVIRONMENT = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CLOSE_SECONDS = 2.0
log = logging.getLogger(__name__)


class Trace:
    """One request that is recorded: phases follow each other from `Tracer.begin` to `end`.

    Attributes:
        response: value of the response header ``traceresponse`` (W3C Trace Context, level 2), which names the span.
    """

    __slots__ = ("_below", "_span", "_start", "_tracer", "response")

    def __init__(self, tracer: OtelTracer, span: Span, below: Context) -> None:
        self._tracer, self._span, self._below = tracer, span, below
        self._start = time_ns()
        seen = span.get_span_context()
        self.response = f"00-{seen.trace_id:032x}-{seen.span_id:016x}-{int(seen.trace_flags):02x}"

    def mark(self, phase: str, attributes: Mapping[str, Attribute] = MappingProxyType({})) -> None:
        """Record that ``phase`` has lasted from the last mark until now."""
        now = time_ns()
        span = self._tracer.start_span(phase, self._below, attributes=attributes, start_time=self._start)
        span.end(now)
        self._start = now

    def note(self, **attributes: Attribute) -> None:
        """Add what has become known of the request, such as ``model`` or ``rows``."""
        self._span.set_attributes({f"factory.{name}": value for name, value in attributes.items()})

    def end(self, method: str, path: str, status: int) -> None:
        """Record the answer; ``path`` is the endpoint's template."""
        from opentelemetry.trace import Status, StatusCode

        self._span.update_name(f"{method} {path}")
        self._span.set_attributes({"http.route": path, "http.response.status_code": status})
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Tracer:
    """Begins traces, and sends them in the background."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider, self._tracer = provider, provider.get_tracer("model-factory")
        self._extract, self._within, self._kind = (
            TraceContextTextMapPropagator().extract,
            set_span_in_context,
            SpanKind.SERVER,
        )

    def begin(self, header: Callable[[str], str | None], method: str, request_id: str) -> Trace | None:
        """Return the trace of a request, or None when it is not to be recorded.

        Args:
            header: gives a request header by its lower-case name; a caller's ``traceparent`` becomes the parent.
            method: HTTP method.
            request_id: id of the request, as in the log.
        """
        carrier = {name: value for name in PARENT if (value := header(name))}
        span = self._tracer.start_span(
            method,
            self._extract(carrier),
            kind=self._kind,
            attributes={"http.request.method": method, "factory.request_id": request_id},
        )
        return Trace(self._tracer, span, self._within(span)) if span.is_recording() else None

    def close(self) -> None:
        """Send what waits, for a moment; a collector that does not answer is not waited for."""
        closing = threading.Thread(target=self._provider.shutdown, name="close traces", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            log.warning("the collector of traces does not answer; the last spans are lost")


def tracer(platform: Platform) -> Tracer | None:
    """Return the tracer that the settings, or OpenTelemetry's own variables, ask for; None when they ask for none."""
    settings = platform.serving
    named = settings.tracing_endpoint or any(os.environ.get(name) for name in ENVIRONMENT)
    if not named or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    here: dict[str, Attribute] = {
        "service.name": os.environ.get("OTEL_SERVICE_NAME") or "model-factory-serving",
        "process.pid": os.getpid(),
    }
    sampler = None if os.environ.get("OTEL_TRACES_SAMPLER") else ParentBased(TraceIdRatioBased(settings.tracing_ratio))
    provider = TracerProvider(sampler, Resource.create(here), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(_endpoint(settings.tracing_endpoint))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracer(provider)


def _endpoint(setting: str) -> str | None:
    """Return the address of the collector's traces; None lets the SDK read its variables."""
    if not setting:
        return None
    return setting if setting.endswith("/v1/traces") else f"{setting.rstrip('/')}/v1/traces"
