"""Routes: loaded before they answer, atomic, durable, and a wrong one changes nothing."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from include.store.prediction_log import PredictionLog
from include.store.routes import Route, RouteStore, Variant
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, picky, put

SHADOW = {"name": "shadow", "version": "2", "weight": 0, "shadow": True}


@pytest.fixture
def model(shared: Server) -> str:
    """Return the name of a model that no other test has routed, with versions 1 and 2 in the cache."""
    name = f"m{uuid.uuid4().hex[:12]}"
    for number in (1, 2):
        put(shared.platform.home, name, number, churn(number))
    return name


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_canary_from_first_load_to_promotion(shared: Server, model: str) -> None:
    assert shared.http.get(f"/v1/routes/{model}", headers=shared.key).status_code == 404
    answer = shared.route(model, ("champion", 1, 100)).json()
    assert answer == {
        "model": model,
        "variants": [{"name": "champion", "version": "1", "weight": 100, "shadow": False}],
        "revision": 1,
    }
    loaded = shared.http.post(f"/v1/models/{model}/versions/2/load", headers=shared.key).json()
    assert loaded["ready"]
    assert loaded["load_ms"] > 0
    assert (
        shared.http.post(f"/v1/models/{model}/versions/2/predict", json={"features": ROW}).json()["variant"] == "direct"
    )
    assert shared.predict(model, ROW).json()["version"] == "1"

    assert shared.route(model, ("champion", 1, 50), ("challenger", 2, 50)).json()["revision"] == 2
    answers = [shared.predict(model, ROW, id=f"caller-{i}").json() for i in range(60)]
    again = [shared.predict(model, ROW, id=f"caller-{i}").json()["variant"] for i in range(60)]
    assert [answer["variant"] for answer in answers] == again
    assert {(answer["variant"], answer["version"]) for answer in answers} == {("champion", "1"), ("challenger", "2")}
    chosen = shared.predict(model, ROW, headers={"X-Factory-Variant": "challenger"}).json()
    assert chosen["version"] == "2"
    seen = shared.statistics(model)
    counts = Counter(again)
    assert seen["revision"] == 2
    assert seen["variants"]["champion"]["requests"] == 2 * counts["champion"]
    assert seen["variants"]["challenger"]["requests"] == 2 * counts["challenger"] + 1
    assert seen["variants"]["challenger"]["errors"] == 0
    assert (
        0 < seen["variants"]["challenger"]["latency_ms"]["p50"] <= seen["variants"]["challenger"]["latency_ms"]["p99"]
    )

    assert shared.route(model, ("champion", 2, 100)).json()["revision"] == 3
    assert shared.statistics(model)["variants"] == {
        "champion": {
            "version": "2",
            "requests": 0,
            "errors": 0,
            "latency_ms": {"p50": None, "p95": None, "p99": None},
            "positives": 0,
        }
    }
    assert shared.http.post(f"/v1/models/{model}/versions/1/predict", json={"features": ROW}).status_code == 404
    assert (
        RouteStore(shared.platform).get(model).as_dict()
        == shared.http.get(f"/v1/routes/{model}", headers=shared.key).json()
    )


def test_positives_are_counted(shared: Server, model: str) -> None:
    shared.route(model, ("champion", 1, 100))
    rows = [{**ROW, "age": age} for age in range(20, 60, 2)]
    body = {"instances": [{"features": row} for row in rows]}
    answers = shared.http.post(f"/v1/models/{model}/predict/batch", json=body).json()["predictions"]
    leaving = sum(answer["label"] == "leaves" for answer in answers)
    assert 0 < leaving < 20
    seen = shared.statistics(model)["variants"]["champion"]
    assert (seen["requests"], seen["positives"]) == (20, leaving)


def test_probes_are_counted_and_not_recorded(shared: Server, model: str) -> None:
    shared.route(model, ("champion", 1, 100))
    assert shared.predict(model, ROW, id="probe", headers={"X-Factory-Probe": "1", **shared.key}).status_code == 200
    shared.predict(model, ROW, id="real")
    wait_for(lambda: len(PredictionLog(shared.platform).frame(model)) > 0)
    assert list(PredictionLog(shared.platform).frame(model)["id"]) == ["real"]
    assert shared.statistics(model)["variants"]["champion"]["requests"] == 2


def test_a_shadow_sees_copies_and_is_never_heard(shared: Server, model: str) -> None:
    shared.route(model, ("champion", 1, 100), SHADOW).raise_for_status()
    answers = [shared.predict(model, ROW, id=f"s{i}").json() for i in range(20)]
    assert {answer["version"] for answer in answers} == {"1"}
    wait_for(lambda: shared.statistics(model)["variants"]["shadow"]["requests"] == 20)
    assert shared.predict(model, ROW, headers={"X-Factory-Variant": "shadow"}).status_code == 404
    wait_for(lambda: len(PredictionLog(shared.platform).frame(model)) == 20)
    assert set(PredictionLog(shared.platform).frame(model)["version"]) == {"1"}


def test_a_shadow_that_breaks_fails_nobody(shared: Server, model: str) -> None:
    put(shared.platform.home, model, 3, picky())
    shared.route(model, ("champion", 1, 100), {**SHADOW, "version": "3"}).raise_for_status()
    answers = [shared.predict(model, {**ROW, "plan": "unseen"}).status_code for _ in range(5)]
    assert answers == [200] * 5
    wait_for(lambda: shared.statistics(model)["variants"]["shadow"]["errors"] == 5)


def test_a_challenger_that_cannot_read_what_callers_send_is_blamed_and_they_are_answered(
    shared: Server, model: str
) -> None:
    put(shared.platform.home, model, 3, picky())  # wants age and plan, ignores vip and seen
    shared.route(model, ("champion", 3, 50), ("challenger", 1, 50)).raise_for_status()
    answers = [shared.predict(model, {"age": 30, "plan": "pro"}, id=f"c{i}") for i in range(40)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["variant"] for answer in answers} == {"champion"}
    seen = shared.statistics(model)["variants"]
    assert seen["challenger"]["errors"] == seen["challenger"]["requests"] > 5
    assert seen["champion"]["errors"] == 0
    neither = shared.predict(model, {"age": "thirty", "plan": "pro"})
    assert neither.status_code == 422


@pytest.mark.parametrize(
    ("variants", "status", "told"),
    [
        ([("champion", 1, 60)], 422, "60, not 100"),
        ([("champion", 1, 60), ("champion", 2, 40)], 422, "share a name"),
        ([("champion", 1, 100), ("challenger", 2, -1)], 422, "greater than or equal to 0"),
        ([("champion", "one", 100)], 422, "version"),
        ([("Champion!", 1, 100)], 422, "name"),
        ([("champion", "../../1", 100)], 422, "version"),
        ([], 422, "variants"),
        ([{**SHADOW, "weight": 100}], 422, "0, not 100"),
        ([("champion", 8, 100)], 422, "of model 'other'"),
        ([("champion", 9, 100)], 422, "not trusted"),
        ([("champion", 10, 100)], 503, "cannot be fetched"),
    ],
)
def test_a_wrong_route_is_refused_and_the_old_one_goes_on(
    shared: Server, broken: str, variants: list, status: int, told: str
) -> None:
    response = shared.route(broken, *variants)
    assert (response.status_code, told in json.dumps(response.json())) == (status, True), response.text
    assert shared.predict(broken, ROW).json()["version"] == "1"
    assert shared.http.get(f"/v1/routes/{broken}", headers=shared.key).json()["revision"] == 1


@pytest.fixture(scope="module")
def broken(shared: Server) -> str:
    """Return a model of which version 8 is another model's package, and 9 holds a type that is not trusted."""
    import skops.io

    home = shared.platform.home
    for number in (1, 2, 9):
        put(home, "broken", number, churn(number))
    shutil.copytree(put(home, "other", 1, churn()), home / "cache" / "models" / "broken" / "8")
    skops.io.dump(Path("/tmp"), home / "cache" / "models" / "broken" / "9" / "model.skops")
    shared.route("broken", ("champion", 1, 100)).raise_for_status()
    return "broken"


def test_a_route_that_another_process_stored_is_taken_over(shared: Server, model: str) -> None:
    store = RouteStore(shared.platform)
    for version in ("1", "2"):
        route = store.put(Route(model, (Variant("champion", version, 100),)))
        wait_for(lambda version=version: shared.predict(model, ROW).json().get("version") == version)
        assert shared.statistics(model)["revision"] == route.revision
