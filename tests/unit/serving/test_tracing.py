"""Traces: sent to a real OTLP/HTTP receiver, with the right parents, and never in anyone's way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from include.serving.observability.tracing import Tracer, tracer
from include.specs import Platform
from tests.otlp import Collector, attributes

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


def at(platform: Platform, **settings: Any) -> Tracer | None:
    return tracer(platform.model_copy(update={"serving": platform.serving.model_copy(update=settings)}))


def test_a_request_and_its_phases_hang_below_the_caller(platform: Platform, collector: Collector) -> None:
    made = at(platform, tracing_endpoint=collector.url)
    assert made is not None
    trace = made.begin({"traceparent": PARENT}.get, "POST", "r-1")
    assert trace is not None
    trace.mark("read")
    trace.mark("predict", {"batch_rows": 3})
    trace.note(model="churn", rows=1)
    trace.end("POST", "/v1/models/{model}/predict", 200)
    made.close()
    request, read, predict = (collector.named(name) for name in ("POST /v1/models/{model}/predict", "read", "predict"))
    assert request.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert trace.response == f"00-{request.trace_id.hex()}-{request.span_id.hex()}-01"
    assert read.parent_span_id == predict.parent_span_id == request.span_id
    assert read.end_time_unix_nano == predict.start_time_unix_nano
    assert request.start_time_unix_nano <= read.start_time_unix_nano
    assert predict.end_time_unix_nano <= request.end_time_unix_nano
    assert attributes(predict) == {"batch_rows": 3}
    found = attributes(request)
    assert found["factory.model"] == "churn"
    assert found["factory.request_id"] == "r-1"
    assert found["http.response.status_code"] == 200
    assert collector.resources[0]["service.name"] == "model-factory-serving"


def test_a_failure_is_an_error_and_a_refusal_is_none(platform: Platform, collector: Collector) -> None:
    made = at(platform, tracing_endpoint=f"{collector.url}/v1/traces")
    assert made is not None
    for status in (422, 500):
        trace = made.begin({}.get, "POST", "r")
        assert trace is not None
        trace.end("POST", f"/{status}", status)
    made.close()
    assert (collector.named("POST /422").status.code, collector.named("POST /500").status.code) == (0, 2)
    assert collector.named("POST /422").parent_span_id == b""


def test_a_ratio_of_zero_records_only_what_a_caller_records(platform: Platform, collector: Collector) -> None:
    made = at(platform, tracing_endpoint=collector.url, tracing_ratio=0.0)
    assert made is not None
    assert made.begin({}.get, "POST", "r") is None
    assert made.begin({"traceparent": "broken"}.get, "POST", "r") is None
    assert made.begin({"traceparent": PARENT[:-2] + "00"}.get, "POST", "r") is None
    assert made.begin({"traceparent": PARENT}.get, "POST", "r") is not None
    made.close()


def test_the_standard_variables_are_enough(
    platform: Platform, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    made = at(platform)
    assert made is not None
    trace = made.begin({}.get, "GET", "r")
    assert trace is not None
    trace.end("GET", "/models", 200)
    made.close()
    assert collector.resources[0]["service.name"] == "mine"
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert at(platform) is None


def test_a_collector_that_is_away_is_not_waited_for(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    made = at(platform, tracing_endpoint="http://127.0.0.1:9")
    assert made is not None
    for _ in range(2500):  # more than the queue holds
        trace = made.begin({}.get, "POST", "r")
        assert trace is not None
        trace.mark("read")
        trace.end("POST", "/", 200)
    made.close()
    assert "the last spans are lost" in caplog.text


def test_nothing_is_imported_while_traces_are_off(platform: Platform) -> None:
    script = (
        "import sys\nfrom include.serving.observability.tracing import tracer\nfrom include.specs import load_platform\n"
        "assert tracer(load_platform()) is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
