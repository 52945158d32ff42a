"""Whatever is sent, the answer is precise, and never a 500."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.serving.server import Server
from tests.model_packages import ROW

PREDICT, BATCH, FEEDBACK = "/v1/models/churn/predict", "/v1/models/churn/predict/batch", "/v1/models/churn/feedback"
GOOD = json.dumps({"features": ROW})


def send(server: Server, path: str, body: bytes | str, **headers: str) -> httpx.Response:
    return server.http.post(path, content=body, headers={"Content-Type": "application/json", **headers})


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "told"),
    [
        (PREDICT, "", 400, "malformed_json", "not valid JSON"),
        (PREDICT, "{", 400, "malformed_json", ""),
        (PREDICT, GOOD + "x", 400, "malformed_json", ""),
        (PREDICT, '{"features": {"age": NaN}}', 400, "malformed_json", "send null for a missing value"),
        (PREDICT, '{"features": {"age": -Infinity}}', 400, "malformed_json", "no Infinity"),
        (PREDICT, b"\xff\xfe{}", 400, "malformed_json", ""),
        (PREDICT, b'{"features": {"plan": "\xff"}}', 400, "malformed_json", ""),
        (PREDICT, '{"features": {"plan": "\\ud800"}}', 400, "malformed_json", ""),
        (PREDICT, '{"features": {"age": ' + "[" * 100_000, 400, "malformed_json", "nested"),
        (PREDICT, '{"features": {"age": 1e999}}', 422, "invalid_request", "out of range"),
        (PREDICT, "[]", 422, "invalid_request", "object"),
        (PREDICT, "null", 422, "invalid_request", "object"),
        (PREDICT, "{}", 422, "invalid_request", "has no features"),
        (PREDICT, '{"features": []}', 422, "invalid_request", "features"),
        (PREDICT, '{"feature": {}}', 422, "invalid_request", "feature"),
        (PREDICT, '{"features": {}}', 422, "invalid_features", "features.age"),
        (PREDICT, json.dumps({"features": {**ROW, "age": "33"}}), 422, "invalid_features", "must be a number"),
        (PREDICT, json.dumps({"features": {**ROW, "colour": 1}}), 422, "invalid_features", "features.colour"),
        (PREDICT, json.dumps({"features": ROW, "id": ""}), 422, "invalid_request", "id"),
        (PREDICT, json.dumps({"features": ROW, "id": "x" * 65}), 422, "invalid_request", "id"),
        (PREDICT, json.dumps({"features": ROW, "id": "a\x00b"}), 422, "invalid_request", "id"),
        (PREDICT, json.dumps({"features": ROW, "id": 7}), 422, "invalid_request", "id"),
        (PREDICT, json.dumps({"features": ROW, "event_time": "soon"}), 422, "invalid_features", "event_time"),
        (PREDICT, json.dumps({"entity": {"customer_id": "c"}}), 422, "invalid_request", "not trained from a feature"),
        (BATCH, '{"instances": []}', 422, "invalid_request", "empty"),
        (BATCH, GOOD, 422, "invalid_request", "features"),
        (BATCH, json.dumps({"instances": [{"features": ROW}] * 1001}), 413, "too_many_rows", "1000"),
        (BATCH, json.dumps({"instances": [{"features": ROW}, {"features": {}}]}), 422, "invalid_features",
         "instances[1].features.age"),
        (FEEDBACK, '{"labels": []}', 422, "invalid_request", "empty"),
        (FEEDBACK, '{"labels": [{"id": "1"}]}', 422, "invalid_request", "label"),
        (FEEDBACK, '{"labels": [{"id": "1", "label": null}]}', 422, "invalid_request", "label"),
        (FEEDBACK, '{"labels": [{"id": "1", "label": "Leaves"}]}', 422, "invalid_labels", "stays"),
        (FEEDBACK, '{"labels": [{"id": "1", "label": 1}]}', 422, "invalid_labels", "labels[0].label"),
        ("/v1/models/digits/feedback", '{"labels": [{"id": "1", "label": true}]}', 422, "invalid_labels", "0, 1, 2"),
        ("/v1/models/house/feedback", '{"labels": [{"id": "1", "label": "9"}]}', 422, "invalid_labels", "number"),
        ("/v1/models/chrun/predict", GOOD, 404, "unknown_model", "did you mean 'churn'?"),
        ("/v1/models//predict", GOOD, 404, "unknown_model", ""),
        ("/v1/models/..%2F..%2Fetc/predict", GOOD, 404, "", ""),
        ("/v1/models/churn/versions/9/predict", GOOD, 404, "unknown_version", "loaded: 1"),
        ("/v1/models/churn/versions/..%2F1/predict", GOOD, 404, "", ""),
        ("/v1/models/nobody/feedback", '{"labels": [{"id": "1", "label": 1}]}', 404, "unknown_model", ""),
        ("/v1/models/churn/guess", GOOD, 404, "not_found", ""),
    ],
)  # fmt: skip
def test_wrong_bodies_and_paths(
    shared: Server, path: str, body: bytes | str, status: int, code: str, told: str
) -> None:
    response = send(shared, path, body)
    error = response.json()["error"]
    assert response.status_code == status, error
    assert set(error) == {"code", "message", "details"}
    assert code in error["code"]
    assert told in json.dumps(error)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        ({"Content-Encoding": "gzip"}, 415, "unsupported_encoding"),
        ({"X-Factory-Variant": "nobody"}, 404, "unknown_variant"),
        ({"X-Factory-Probe": "1"}, 401, "unauthorized"),
        ({"X-Factory-Probe": "1", "Authorization": "Basic eDp5"}, 401, "unauthorized"),
        ({"X-Factory-Probe": "1", "Authorization": "Bearer wrong"}, 403, "forbidden"),
    ],
)
def test_wrong_headers(shared: Server, headers: dict[str, str], status: int, code: str) -> None:
    response = send(shared, PREDICT, GOOD, **headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_json_may_be_announced_with_a_charset(shared: Server) -> None:
    assert send(shared, PREDICT, GOOD, **{"Content-Type": "Application/JSON; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_methods(shared: Server, method: str) -> None:
    response = shared.http.request(method, PREDICT)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert shared.http.request("DELETE", "/models").json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/routes/churn"),
        ("PUT", "/v1/routes/churn"),
        ("POST", "/v1/models/churn/versions/2/load"),
        ("GET", "/v1/models/churn/statistics"),
    ],
)
def test_operation_needs_the_key(shared: Server, method: str, path: str) -> None:
    body = {"variants": [{"name": "champion", "version": "2", "weight": 100}]}
    json_body = body if method != "GET" else None
    assert shared.http.request(method, path, json=json_body).status_code == 401
    for wrong in ("Bearer", "Bearer x", "Bearer \u00e9", "Token x"):
        headers = {"Authorization": wrong.encode("latin-1")}
        assert shared.http.request(method, path, json=json_body, headers=headers).status_code in (401, 403)
    assert shared.http.get("/v1/routes/churn", headers=shared.key).json()["variants"][0]["version"] == "1"


def test_a_huge_body_is_refused_by_its_length_and_by_its_content(shared: Server) -> None:
    huge = b'{"features": "' + b"x" * (8 << 20) + b'"}'
    assert send(shared, PREDICT, huge).json()["error"]["code"] == "body_too_large"

    def chunks() -> Any:
        for start in range(0, len(huge), 1 << 16):
            yield huge[start : start + (1 << 16)]

    response = shared.http.post(PREDICT, content=chunks(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert shared.http.put("/v1/routes/churn", content=huge, headers=shared.key).status_code == 413


def test_a_client_that_waits_for_100_continue_is_told_at_once(shared: Server) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_client_that_sends_too_slowly_is_let_go(shared: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=20)
    connection.putrequest("POST", PREDICT)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b'{"features"')
    started = time.monotonic()
    response = connection.getresponse()
    assert response.status == 408
    assert time.monotonic() - started > 1
    assert json.loads(response.read())["error"]["code"] == "too_slow"


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (b"GARBAGE\r\n\r\n", {400}),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", {400}),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", {400}),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{{{{{{", {400}),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nabcdefg", {400}),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\nabcdefg", {400}),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 600_000 + b"\r\n\r\n", {431}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {404, 414}),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 300 + b"\r\n", {431}),
    ],
    ids=["no HTTP", "no version", "length", "two lengths", "two framings", "chunk", "header", "path", "many headers"],
)
def test_heads_and_framings_that_are_no_http(shared: Server, raw: bytes, statuses: set[int]) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
        with suppress(ConnectionError):  # refused before all of it was sent; the answer is there
            connection.sendall(raw.replace(b"%b", PREDICT.encode()))
        assert int(connection.recv(100).split(b" ")[1]) in statuses
    assert shared.predict("churn", ROW).status_code == 200


def test_a_client_that_goes_away_stops_nothing(shared: Server) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", shared.port)) as connection:
            connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{{".encode())
    assert shared.predict("churn", ROW).status_code == 200


def test_a_model_that_breaks_is_a_500_that_says_which_and_repeats_no_value(shared: Server) -> None:
    response = shared.predict("picky", {"age": 30, "plan": "secret-plan-77"})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "model_failed")
    assert "version 1 of 'picky'" in response.json()["error"]["message"]
    assert "secret-plan-77" not in response.text
    assert shared.statistics("picky")["variants"]["champion"]["errors"] == 1
    log = shared.log.read_text()
    assert "ValueError" in log
    assert "secret-plan-77" not in log


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)  # fmt: skip
FEATURES = st.dictionaries(st.sampled_from([*ROW, "customer_id", "x"]), VALUE, max_size=6)
INSTANCE = st.fixed_dictionaries(
    {}, optional={"features": FEATURES | VALUE, "id": VALUE, "event_time": VALUE, "entity": VALUE, "more": VALUE}
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*ROW, "x"]) | VALUE,
        "shape": st.lists(st.integers(-2, 10**20), max_size=3) | VALUE,
        "datatype": st.sampled_from(["FP64", "BYTES", "BOOL", "INT64", "X"]) | VALUE,
        "data": VALUE,
    },
)
BODIES = {
    PREDICT: INSTANCE | VALUE,
    BATCH: st.fixed_dictionaries({"instances": st.lists(INSTANCE, max_size=3) | VALUE}),
    FEEDBACK: st.fixed_dictionaries({"labels": st.lists(st.fixed_dictionaries({"id": VALUE, "label": VALUE}), max_size=2)}),
    "/v2/models/churn/infer": st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=3) | VALUE, "id": VALUE}),
    "/v2/models/house/infer": st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=1) | VALUE}),
}  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("path", list(BODIES))
@given(data=st.data())
def test_no_json_makes_the_server_break(shared: Server, path: str, data: st.DataObject) -> None:
    body = json.dumps(data.draw(BODIES[path]))
    response = send(shared, path, body)
    assert response.status_code in (200, 400, 404, 413, 422), response.text
    assert "error" in response.json() or response.status_code == 200


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(position=st.integers(0, len(GOOD) - 1), noise=st.binary(min_size=1, max_size=3))
def test_no_bytes_make_the_server_break(shared: Server, position: int, noise: bytes) -> None:
    raw = GOOD.encode()
    response = send(shared, PREDICT, raw[:position] + noise + raw[position + 1 :])
    assert response.status_code in (200, 400, 422), response.text
