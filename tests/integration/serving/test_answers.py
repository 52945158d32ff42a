"""What a caller gets: the model's own answers, by every door, and a record of each."""

from __future__ import annotations

import time
from typing import Any

import pytest

from include.store.prediction_log import PredictionLog
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, digits, house

HOUSE_ROW = {"rooms": 1.0, "area": -2, "year": 0.5}


def logged(server: Server, model: str, *ids: str) -> dict[str, Any]:
    """Return the log's rows of ``ids``, which must be there within a second of the answer."""
    deadline = time.monotonic() + 10
    while True:
        frame = PredictionLog(server.platform).frame(model).set_index("id")
        if set(ids) <= set(frame.index) or time.monotonic() > deadline:
            return frame.loc[list(ids)].to_dict(orient="index")
        time.sleep(0.05)


def test_a_single_row_gets_the_models_own_answer(shared: Server) -> None:
    answer = shared.predict("churn", ROW, id="one", event_time="2026-02-03T04:05:06+02:00").json()
    package = churn(1)
    assert (
        answer
        == {"id": "one", "model": "churn", "version": "1", "variant": "champion"}
        | package.predict(package.frame([ROW]))[0]
    )
    record = logged(shared, "churn", "one")["one"]
    assert record["features"] == ROW
    assert record["output"] == {key: answer[key] for key in ("label", "probabilities")}
    assert record["event_time"].isoformat() == "2026-02-03T02:05:06+00:00"


def test_a_batch_gets_the_same_answers_in_order(shared: Server) -> None:
    rows = [{**ROW, "age": age, "plan": plan} for age in (20, None, 60) for plan in ("basic", None, "unseen")]
    body = {"instances": [{"features": row, "id": f"batch-{i}"} for i, row in enumerate(rows)]}
    answers = shared.http.post("/v1/models/churn/predict/batch", json=body).json()["predictions"]
    package = churn(1)
    assert [answer["id"] for answer in answers] == [f"batch-{i}" for i in range(9)]
    outputs = [{key: answer[key] for key in ("label", "probabilities")} for answer in answers]
    assert outputs == package.predict(package.frame(rows))
    assert logged(shared, "churn", *(f"batch-{i}" for i in range(9)))["batch-4"]["features"] == rows[4]


def test_a_large_batch_gets_the_same_answers(shared: Server) -> None:
    rows = [{**HOUSE_ROW, "rooms": number / 10} for number in range(1000)]
    body = {"instances": [{"features": row} for row in rows]}
    answers = shared.http.post("/v1/models/house/predict/batch", json=body).json()["predictions"]
    package = house()
    expected = [p["label"] for p in package.predict(package.frame(rows))]
    assert [a["label"] for a in answers] == pytest.approx(expected, rel=1e-12)  # BLAS sums in an order of its own
    assert len({answer["id"] for answer in answers}) == 1000


def test_other_tasks_answer_in_their_own_way(shared: Server) -> None:
    assert set(shared.predict("house", HOUSE_ROW).json()) == {"id", "model", "version", "variant", "label"}
    answer = shared.predict("digits", HOUSE_ROW).json()
    assert answer["label"] == digits().predict(digits().frame([HOUSE_ROW]))[0]["label"] == 0
    assert list(answer["probabilities"]) == ["0", "1", "2"]


def test_ids_are_made_and_the_first_of_an_id_is_recorded(shared: Server) -> None:
    one, two = shared.predict("churn", ROW).json(), shared.predict("churn", ROW).json()
    assert one["id"] != two["id"]
    shared.predict("churn", ROW, id="twice")
    shared.predict("churn", {**ROW, "age": 99}, id="twice")
    shared.predict("churn", ROW, id="after-twice")
    assert logged(shared, "churn", "twice", "after-twice")["twice"]["features"] == ROW


def test_models_have_ids_of_their_own(shared: Server) -> None:
    shared.predict("house", HOUSE_ROW, id="same")
    shared.predict("digits", HOUSE_ROW, id="same")
    assert logged(shared, "house", "same")["same"]["output"] != logged(shared, "digits", "same")["same"]["output"]


def test_feedback_is_in_the_database_when_it_answers_late_twice_and_early(shared: Server) -> None:
    shared.predict("churn", ROW, id="known")
    labels = [{"id": "known", "label": "leaves", "observed_at": "2026-05-01"}, {"id": "too-early", "label": "stays"}]
    for _ in range(2):
        response = shared.http.post("/v1/models/churn/feedback", json={"labels": labels})
        assert (response.status_code, response.json()) == (200, {"accepted": 2})
    shared.predict("churn", ROW, id="too-early")
    rows = logged(shared, "churn", "known", "too-early")
    assert (rows["known"]["label"], rows["too-early"]["label"]) == ("leaves", "stays")


def test_models_are_described(shared: Server) -> None:
    models = {model["name"]: model for model in shared.http.get("/models").json()["models"]}
    assert set(models) >= {"churn", "picky", "house", "digits"}
    assert models["churn"]["ready"]
    assert models["churn"]["route"]["variants"] == [
        {"name": "champion", "version": "1", "weight": 100, "shadow": False}
    ]
    assert [feature["name"] for feature in models["churn"]["versions"][0]["features"]] == list(ROW)


def test_health_and_metrics(shared: Server) -> None:
    shared.predict("churn", ROW)
    health = shared.http.get("/health").json()
    assert (health["status"], health["ready"], health["models"]["churn"]) == ("ok", True, True)
    assert shared.http.get("/health/live").json() == {"live": True}
    text = shared.http.get("/metrics").text
    assert 'factory_predictions_total{model="churn",outcome="answered",variant="champion",version="1"}' in text
    assert 'factory_prediction_seconds_bucket{le="0.01",model="churn",variant="champion",version="1"}' in text
    assert 'factory_model_loaded{model="house",version="1"} 1.0' in text


def test_every_answer_carries_a_request_id(shared: Server) -> None:
    for path in ("/health", "/v2", "/v1/models/none/predict"):
        own = shared.http.post(path, headers={"X-Request-ID": "trace-7"}, json={})
        assert own.headers["x-request-id"] == "trace-7"
        made = [shared.http.get(path, headers={"X-Request-ID": "has space"}).headers["x-request-id"] for _ in range(2)]
        assert made[0] != made[1]
        assert "has space" not in made
        assert own.headers["x-content-type-options"] == "nosniff"
        assert own.headers["server"] == "model-factory"  # no version is told


def test_every_example_of_the_openapi_document_works(shared: Server) -> None:
    document = shared.http.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            asks_the_default_model = "requestBody" in operation and "{" not in path
            if method in ("put", "delete") or path.endswith("/load") or asks_the_default_model:
                continue
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    example = parameter.get("example") or {"model": "churn", "version": "1"}[parameter["name"]]
                    path = path.replace(f"{{{parameter['name']}}}", example)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            response = shared.http.request(method, path, json=body, headers=shared.key)
            assert response.status_code == 200, (method, path, response.text)
            tried += 1
    assert tried >= 20
