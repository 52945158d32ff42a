"""MLflow's and KServe's scoring protocols, explanations, and the examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn

ROWS = [[1.0, 2.0, 3.0], [4.0, None, 6.0]]


def test_the_default_model_must_be_clear(shared: Server) -> None:
    response = shared.http.post("/invocations", json={"inputs": ROWS})
    assert response.status_code == 409
    assert set(response.json()) == {"error_code", "message"}
    assert shared.http.get("/ping").status_code == 200
    assert shared.http.get("/version").text


def test_rows_by_kserves_first_protocol(shared: Server) -> None:
    assert shared.http.get("/").json() == {"status": "alive"}
    assert shared.http.get("/v1/models/house").json() == {"name": "house", "ready": True}
    assert "house" in shared.http.get("/v1/models").json()["models"]
    values = shared.http.post("/v1/models/house:predict", json={"instances": ROWS}).json()["predictions"]
    one = shared.predict("house", dict(zip(("rooms", "area", "year"), ROWS[0], strict=True))).json()
    assert values[0] == pytest.approx(one["label"])
    again = shared.http.post("/v1/models/house/versions/1:predict", json={"instances": ROWS}).json()
    assert again["predictions"] == values
    records = shared.http.post("/v1/models/churn:predict", json={"instances": [ROW]}).json()["predictions"]
    assert set(records[0]) == {"label", "probability_stays", "probability_leaves"}


@pytest.mark.parametrize(
    "rows", [[], [[1, 2]], [[1, 2, 3], {"rooms": 1}], [1, 2], [[1, 2, "x"]], [{"rooms": 1}], [[1, 2, [3]]]]
)
def test_rows_that_cannot_be_read(shared: Server, rows: list) -> None:
    response = shared.http.post("/v1/models/house:predict", json={"instances": rows})
    assert response.status_code == 422, response.text
    assert isinstance(response.json()["error"], str)


def test_an_explanation_adds_up_to_the_logit(shared: Server) -> None:
    import math

    answer = shared.predict("churn", ROW, explain=True).json()
    found = answer["explanation"]
    assert set(found["contributions"]) == set(ROW)
    assert (found["output"], found["class"]) == ("logit", "leaves")
    logit = found["base_value"] + sum(found["contributions"].values())
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(answer["probabilities"]["leaves"], abs=1e-6)
    again = shared.http.post("/v1/models/churn/explain", json={"features": ROW}).json()
    assert again["explanation"] == found
    batch = shared.http.post(
        "/v1/models/churn/predict/batch", json={"instances": [{"features": ROW}] * 2, "explain": True}
    )
    assert [one["explanation"] for one in batch.json()["predictions"]] == [found, found]
    package = churn(1)
    assert answer["label"] == package.predict(package.frame([ROW]))[0]["label"]


def test_explanations_of_several_classes_and_as_tensors(shared: Server) -> None:
    row = {"rooms": 1.0, "area": 2.0, "year": 3.0}
    found = shared.predict("digits", row, explain=True).json()["explanation"]
    assert set(found["base_value"]) == set(found["contributions"]) == {"0", "1", "2"}
    tensor = {"name": "x", "shape": [2, 3], "datatype": "FP64", "data": [1, 2, 3, 4, 5, 6]}
    body = {"inputs": [tensor], "parameters": {"explain": True}}
    outputs = shared.http.post("/v2/models/digits/infer", json=body).json()["outputs"]
    assert [(one["name"], one["shape"]) for one in outputs[2:]] == [
        ("base_value", [2, 3]),
        ("contributions", [2, 3, 3]),
    ]
    assert outputs[3]["data"][:3] == pytest.approx(list(found["contributions"]["0"].values()))


def test_what_cannot_be_explained_says_so_and_answers_without(shared: Server) -> None:
    features = {"age": 30, "plan": "basic"}
    response = shared.predict("picky", features, explain=True)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "not_explainable")
    assert shared.predict("picky", features).status_code == 200
    many = {"instances": [{"features": {"rooms": 1, "area": 1, "year": 1}}] * 1000, "explain": True}
    assert shared.http.post("/v1/models/house/predict/batch", json=many).status_code == 200


def test_an_empty_entity_is_refused_with_what_is_missing(shared: Server) -> None:
    response = shared.http.post("/v1/models/churn/predict", json={"entity": {}})
    assert response.status_code == 422
    assert response.json()["error"]["details"][0]["where"].startswith("body")


def test_every_example_of_the_document_works(shared: Server) -> None:
    document = shared.http.get("/openapi.json").json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                if "example" not in content or "{" not in path:
                    continue
                values = {p["name"]: p["example"] for p in operation["parameters"] if p["in"] == "path"}
                sent: dict[str, Any] = (
                    {"json": content["example"]} if kind.endswith("json") else {"content": content["example"]}
                )
                response = shared.http.request(method, path.format(**values), headers={"Content-Type": kind}, **sent)
                assert response.status_code == 200, (path, response.text)
                tried += 1
    assert tried >= 10
    assert set(document["components"]["securitySchemes"]) >= {"bearer", "key"}
