"""Keys, roles and limits of a server that runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from include.serving.security.guard import OPEN_PATHS
from include.serving.security.keys import main
from include.specs import Platform
from tests.integration.serving.guarded import Guarded, eventually
from tests.model_packages import ROW

PREDICT = "/v1/models/churn/predict"
TENSORS = {"inputs": [{"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]} for name, kind in (
    ("age", "FP64"), ("vip", "BOOL"), ("plan", "BYTES"), ("seen", "BYTES"))]}  # fmt: skip
ROUTE = {"variants": [{"name": "champion", "version": "1", "weight": 100}]}
BODIES = {
    PREDICT: {"features": ROW},
    "/predict": {"features": ROW},
    f"{PREDICT}/batch": {"instances": [{"features": ROW}]},
    "/v1/models/churn/versions/1/predict": {"features": ROW},
    "/v1/models/churn/feedback": {"labels": [{"id": "1", "label": 1}]},
    "/v2/models/churn/infer": TENSORS,
}
READS = {"/v2/repository/index"}
"""What is asked by POST and changes nothing."""


def ask(server: Guarded, name: str | None, path: str = PREDICT, method: str = "POST", **more: object) -> httpx.Response:
    headers = {**(server.by(name) if name else {}), **more.pop("headers", {})}  # type: ignore[dict-item]
    return server.http.request(method, path, json=more.get("json", BODIES.get(path)), headers=headers)


def endpoints(server: Guarded) -> list[tuple[str, str, bool]]:
    """Return (method, path, whether it operates) of everything that the OpenAPI document describes, for no model."""
    document = ask(server, "reader", "/openapi.json", "GET").json()
    filled = {"{name}": "nobody", "{model}": "nobody", "{version}": "0"}  # who may ask is decided before what is there
    found = []
    for template, methods in document["paths"].items():
        path = template
        for name, value in filled.items():
            path = path.replace(name, value)
        found += [
            (method.upper(), path, "operation" in operation.get("tags", ())) for method, operation in methods.items()
        ]
    return found


def test_every_endpoint_asks_for_a_key_with_the_right_role(guarded: Guarded) -> None:
    asked = endpoints(guarded)
    assert len(asked) > 15
    for method, path, operates in asked:
        body = None if method == "GET" else {}
        nobody, wrong, reader, operator = (
            guarded.http.request(method, path, json=body, headers=headers).status_code
            for headers in ({}, {"X-API-Key": "mf_0_wrong"}, guarded.by("reader"), guarded.by("operator"))
        )
        where = f"{method} {path}"
        if path in OPEN_PATHS:
            assert nobody == wrong == 200, where
            continue
        assert (nobody, wrong) == (401, 403), where
        assert reader == 403 if operates else reader not in (401, 403), where
        predicts = method == "POST" and not operates and path not in READS
        assert operator == 403 if predicts else operator not in (401, 403), where


def test_no_endpoint_comes_to_be_without_a_decision_who_may_ask_it(platform: Platform) -> None:
    """The front asks for a key on every path but the open ones; what changes the server must ask for ``operate``."""
    from include.serving.server import ModelServer

    for route in ModelServer(platform).front._rest.routes:  # type: ignore[attr-defined]
        assert isinstance(route, Route)
        if not isinstance(route, APIRoute):
            assert route.path == "/openapi.json", f"{route.path}: say who may ask it"
            continue
        operates = any(type(one.dependency).__name__ == "Operator" for one in route.dependencies)
        changes = bool(route.methods - {"GET", "HEAD"})
        assert not (operates and route.path in OPEN_PATHS)
        assert operates or not changes or route.path in READS, (
            f"{route.path} changes something: guard it by operation(access)"
        )


def test_a_key_is_taken_in_either_header(guarded: Guarded) -> None:
    key = guarded.keys["reader"]
    for headers in ({"Authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}, {"X-API-Key": key}):
        assert ask(guarded, None, headers=headers).status_code == 200
    answer = ask(guarded, None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert ask(guarded, None, headers={"Authorization": key}).status_code == 401
    assert ask(guarded, None, headers={"Authorization": f"Bearer {key[:-1]}"}).status_code == 403
    assert ask(guarded, None, headers={"X-API-Key": key.split("_")[1]}).status_code == 403


def test_a_probe_takes_both_roles(guarded: Guarded) -> None:
    probe = {"X-Factory-Probe": "1"}
    assert ask(guarded, "reader", headers=probe).status_code == 403
    assert ask(guarded, "operator", headers=probe).status_code == 403
    assert ask(guarded, None, headers={**probe, **guarded.key}).status_code == 200


def test_keys_come_rotate_and_go_without_a_restart(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from include.serving.security import keys

    monkeypatch.setattr(keys, "load_platform", lambda: guarded.platform)

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return capsys.readouterr().out.strip()

    def status(key: str) -> int:
        return guarded.http.post(PREDICT, json=BODIES[PREDICT], headers={"X-API-Key": key}).status_code

    old = run("create", "passing", "--role", "predict")
    eventually(lambda: status(old) == 200)
    new = run("rotate", "passing")
    eventually(lambda: status(new) == 200)
    assert status(old) == 200
    run("revoke", old.split("_")[1])
    eventually(lambda: status(old) == 403)
    assert status(new) == 200
    run("rotate", "passing", "--grace-hours", "0")
    eventually(lambda: status(new) == 403)
    ending, _ = guarded.store.create("ending", ["predict"], expires=datetime.now(UTC) + timedelta(seconds=1))
    eventually(lambda: status(ending) == 403)
    assert "expired" in run("list")


def test_who_asks_too_much_is_told_when_to_come_back_and_others_are_not_disturbed(guarded: Guarded) -> None:
    batch = {"instances": [{"features": ROW}] * 4}
    assert ask(guarded, "slow", f"{PREDICT}/batch", json=batch).status_code == 200
    assert ask(guarded, "slow").status_code == 200
    answer = ask(guarded, "slow")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 900
    assert answer.headers["ratelimit-limit"] == "5"
    assert ask(guarded, "slow", "/v2/models/churn/infer").status_code == 429
    assert ask(guarded, "reader").status_code == 200
    scraped = eventually(lambda: [
        line for line in guarded.http.get("/metrics").text.splitlines() if line.startswith("factory_rate_limited_total{")
    ])  # fmt: skip
    assert scraped == ['factory_rate_limited_total{caller="slow"} 2.0']


def test_no_key_is_written_anywhere(guarded: Guarded) -> None:
    for key in guarded.keys.values():
        ask(guarded, None, headers={"X-API-Key": key, "X-Request-ID": "keys"})
        ask(guarded, None, headers={"X-API-Key": f"{key}x"})
    secrets = [key.split("_", 2)[2].encode() for key in guarded.keys.values()]
    files = [guarded.log, *(file for file in guarded.platform.home.rglob("*") if file.is_file())]
    scraped = guarded.http.get("/metrics").content
    for secret in secrets:
        assert secret not in scraped
        assert not [file for file in files if secret in file.read_bytes()]


@pytest.mark.parametrize(
    "name",
    ["../../secret", "..%2F..%2Fsecret", "%2e%2e%2fsecret", "file:%2F%2F%2Fetc%2Fpasswd", "http:%2F%2F127.0.0.1:9%2Fm",
     "s3:%2F%2Fbucket%2Fm", "churn%00", "churn%2F1", "C:%5Cm", "~", "$HOME", "churn;ls"],
)  # fmt: skip
def test_no_name_is_opened_as_a_file_or_address(guarded: Guarded, name: str) -> None:
    home = guarded.platform.home
    (home / "cache" / "secret").mkdir(exist_ok=True)

    def folders() -> set[Path]:
        return set((home / "cache").rglob("*"))

    before = folders()
    paths = [f"/v1/models/{name}/predict", f"/v1/models/churn/versions/{name}/predict", f"/v2/models/{name}/infer"]
    for path in paths:
        assert 400 <= ask(guarded, "reader", path, json={"features": ROW}).status_code < 500, path
    for method, path in (
        ("POST", f"/v1/models/{name}/versions/1/load"),
        ("POST", f"/v1/models/churn/versions/{name}/load"),
        ("PUT", f"/v1/routes/{name}"),
        ("GET", f"/v1/models/{name}/statistics"),
    ):
        assert 400 <= ask(guarded, "operator", path, method, json=ROUTE).status_code < 500, path
    route = {"variants": [{"name": "champion", "version": name, "weight": 100}]}
    assert ask(guarded, "operator", "/v1/routes/churn", "PUT", json=route).status_code == 422
    entity = {"entity": {"customer_id": name}}
    assert ask(guarded, "reader", json=entity).status_code == 422
    for header in ("X-Factory-Variant", "X-Request-ID", "traceparent"):
        assert ask(guarded, "reader", headers={header: name}).status_code in (200, 404)
    assert folders() == before
