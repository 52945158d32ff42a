"""What is to be seen of requests, and what never is: logs, access log, traces, metrics."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable

import pytest

from include.specs import Platform
from tests.integration.serving.guarded import Guarded, eventually
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, put
from tests.otlp import attributes

MARK = "marker-8c1f"
PREDICT = "/v1/models/churn/predict"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_log_is_one_object_a_line_with_what_it_belongs_to(guarded: Guarded) -> None:
    guarded.predict("picky", {"age": 30, "plan": MARK}, headers={**guarded.by("reader"), "X-Request-ID": "broken-1"})
    line = guarded.line_of("broken-1", "include.serving.models.predictor")
    assert (line["level"], line["model"], line["version"]) == ("ERROR", "picky", "1")
    assert "ValueError" in line["message"]
    assert line["time"].endswith("+00:00")
    assert all({"time", "level", "logger", "message", "pid"} <= set(entry) for entry in guarded.lines())


def test_the_access_log_names_the_endpoint_and_the_caller(guarded: Guarded) -> None:
    batch = {"instances": [{"features": ROW}] * 3}
    reader = guarded.by("reader")
    guarded.http.post(f"{PREDICT}/batch", json=batch, headers={**reader, "X-Request-ID": "batch-1"})
    line = guarded.line_of("batch-1")
    assert (line["path"], line["status"], line["rows"]) == ("/v1/models/{model}/predict/batch", 200, 3)
    assert (line["caller"], line["method"], line["level"]) == ("reader", "POST", "INFO")
    assert line["ms"] > 0
    guarded.http.get("/v1/routes/churn", headers={**guarded.by("operator"), "X-Request-ID": "route-1"})
    assert guarded.line_of("route-1")["path"] == "/v1/routes/{model}"
    guarded.http.get(f"/{MARK}/nowhere", headers={**reader, "X-Request-ID": "nowhere-1"})
    line = guarded.line_of("nowhere-1")
    assert (line["path"], line["status"]) == ("unknown", 404)
    guarded.http.post(PREDICT, json={"features": ROW}, headers={"X-Request-ID": "nobody-1"})
    line = guarded.line_of("nobody-1")
    assert (line["caller"], line["status"], line["rows"]) == ("", 401, 0)


def test_no_value_of_a_caller_reaches_the_log_or_the_traces(guarded: Guarded) -> None:
    reader = guarded.by("reader")
    bodies: list[object] = [
        {"features": {**ROW, "plan": MARK}},
        {"features": {**ROW, "age": MARK}},
        {"features": {**ROW, "seen": MARK}},
        {"features": {**ROW, MARK: 1}},
        {"features": ROW, "id": MARK + "x" * 64},
        {"features": ROW, "event_time": MARK},
        {"features": {"age": 30, "plan": MARK}, MARK: 1},
        {"entity": {"customer_id": MARK}},
        {"inputs": [{"name": MARK, "shape": [1], "datatype": MARK, "data": [MARK]}]},
        {"labels": [{"id": MARK, "label": MARK, "observed_at": MARK}]},
        [MARK],
        MARK,
    ]
    paths = ("predict", "predict/batch", "feedback", "versions/1/predict", f"versions/{MARK}/predict", MARK)
    for body in bodies:
        for path in paths:
            guarded.http.post(f"/v1/models/churn/{path}", json=body, headers=reader)
            guarded.http.post(f"/v1/models/picky/{path}", json=body, headers=reader)
        guarded.http.post("/v2/models/churn/infer", json=body, headers=reader)
        guarded.http.put("/v1/routes/churn", json=body, headers=guarded.by("operator"))
    for raw in (f'{{"features": {MARK}', f'{{"features": {{"plan": "{MARK}"'):
        guarded.http.post(PREDICT, content=raw, headers={**reader, "Content-Type": "application/json"})
    for header in ("X-Factory-Variant", "Content-Type", "Content-Encoding", "traceparent", "Authorization"):
        guarded.predict("churn", ROW, headers={**reader, header: MARK})
    with socket.create_connection(("127.0.0.1", guarded.port)) as connection:  # a client that goes away
        head = (
            f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nX-API-Key: {guarded.keys['reader']}\r\nContent-Length: 99\r\n\r\n"
        )
        connection.sendall(f'{head}{{"features": "{MARK}'.encode())
    guarded.http.get(f"/models?q={MARK}", headers={**reader, "X-Request-ID": "last"})
    guarded.line_of("last")
    assert MARK not in guarded.log.read_text()
    assert MARK not in guarded.http.get("/metrics").text
    eventually(lambda: [span for span in guarded.traces.spans if attributes(span).get("factory.request_id") == "last"])
    assert MARK not in str(guarded.traces.spans)


def test_a_trace_shows_the_phases_of_a_request_below_its_caller(guarded: Guarded) -> None:
    headers = {**guarded.by("reader"), "traceparent": PARENT}
    answer = guarded.predict("churn", ROW, headers=headers)
    name = "POST /v1/models/{model}/predict"
    trace = bytes.fromhex(PARENT[3:35])

    def spans() -> dict[str, object] | None:
        found = {span.name: span for span in guarded.traces.spans if span.trace_id == trace}
        return found if name in found else None

    found = eventually(spans)
    request = found[name]
    assert request.parent_span_id.hex() == PARENT[36:52]
    assert answer.headers["traceresponse"] == f"00-{trace.hex()}-{request.span_id.hex()}-01"
    assert {"read", "predict", "record"} <= set(found)
    assert all(span.parent_span_id == request.span_id for title, span in found.items() if title != name)
    noted = attributes(request)
    assert {key: noted[f"factory.{key}"] for key in ("model", "version", "variant", "rows", "caller")} == {
        "model": "churn", "version": "1", "variant": "champion", "rows": 1, "caller": "reader",
    }  # fmt: skip
    assert (noted["http.route"], noted["http.response.status_code"]) == (name.split()[1], 200)
    assert attributes(found["predict"])["factory.batch_rows"] >= 1


def test_headers_tell_nothing_of_the_machinery_and_no_other_origin_may_read(guarded: Guarded) -> None:
    preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    answers = [
        guarded.http.get("/health"),
        guarded.predict("churn", ROW),
        guarded.predict("churn", ROW, headers=guarded.by("reader")),
        guarded.http.get("/nowhere", headers=guarded.by("reader")),
        guarded.http.options(PREDICT, headers=preflight),
        guarded.http.get("/models", headers={**guarded.by("reader"), **preflight}),
    ]
    for answer in answers:
        assert answer.headers["server"] == "model-factory"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith(("access-control", "x-powered"))]


@pytest.mark.parametrize("sent", ["a" * 129, "with space", "tab\there", "\u00fc"])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(guarded: Guarded, sent: str) -> None:
    headers = {**guarded.by("reader"), "X-Request-ID": sent.encode("latin-1")}
    answer = guarded.http.get("/models", headers=headers)  # type: ignore[arg-type]
    assert answer.headers["x-request-id"] != sent
    assert guarded.line_of(answer.headers["x-request-id"])["status"] == 200


def test_a_head_that_is_too_large_is_refused(guarded: Guarded) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        try:
            for _ in range(1000):
                connection.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
            answer = connection.recv(100)
        except ConnectionError:  # refused while we were still sending
            answer = b""
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert guarded.http.get("/health").status_code == 200


def test_a_collector_that_is_away_stops_nothing(serve: Callable[..., Server], platform: Platform) -> None:
    put(platform.home, "churn", 1, churn())
    server = serve(platform).start(FACTORY_SERVING__TRACING_ENDPOINT="http://127.0.0.1:9")
    server.route("churn", ("champion", 1, 100)).raise_for_status()
    for _ in range(20):
        assert server.predict("churn", ROW).status_code == 200
    assert server.stop() == 0


def test_prometheus_finds_nothing_to_complain_about(guarded: Guarded) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    guarded.predict("churn", ROW, headers=guarded.by("reader"))
    scraped = guarded.http.get("/metrics").content
    result = subprocess.run([promtool, "check", "metrics"], input=scraped, capture_output=True, env={**os.environ})
    complaints = (result.stdout + result.stderr).decode()
    assert (result.returncode, complaints) == (0, "")
