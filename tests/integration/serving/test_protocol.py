"""The Open Inference Protocol over REST."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, house


def tensors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    types = {"age": "FP64", "vip": "BOOL", "plan": "BYTES", "seen": "BYTES"}
    return [
        {"name": name, "shape": [len(rows), 1], "datatype": kind, "data": [row[name] for row in rows]}
        for name, kind in types.items()
    ]


def test_server_and_model_metadata(shared: Server) -> None:
    assert shared.http.get("/v2").json()["name"] == "model-factory"
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/churn/ready", "/v2/models/churn/versions/1/ready"):
        assert shared.http.get(path).status_code == 200, path
    for path in ("/v2/models/churn", "/v2/models/churn/versions/1"):
        found = shared.http.get(path).json()
        assert (found["name"], found["versions"]) == ("churn", ["1"])
        assert found["inputs"][1] == {"name": "vip", "datatype": "BOOL", "shape": [-1]}
        assert found["outputs"][1] == {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]}
    assert shared.http.get("/v2/models/house").json()["outputs"] == [
        {"name": "label", "datatype": "FP64", "shape": [-1]}
    ]
    assert shared.http.get("/v2/models/digits").json()["outputs"][0]["datatype"] == "INT64"


@pytest.mark.parametrize("path", ["/v2/models/churn/infer", "/v2/models/churn/versions/1/infer"])
def test_named_tensors(shared: Server, path: str) -> None:
    rows = [ROW, {**ROW, "age": None, "plan": None}, {**ROW, "age": 70}]
    body = shared.http.post(path, json={"id": "v2", "inputs": tensors(rows)}).json()
    package = churn(1)
    wanted = package.predict(package.frame(rows))
    assert (body["model_name"], body["model_version"], body["id"]) == ("churn", "1", "v2")
    label, probabilities = body["outputs"]
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "BYTES", [3])
    assert label["data"] == [one["label"] for one in wanted]
    assert probabilities["shape"] == [3, 2]
    assert probabilities["data"] == [p for one in wanted for p in one["probabilities"].values()]


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]], ids=["flat", "nested"])
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64"])
def test_one_matrix_for_a_model_of_numbers(shared: Server, data: list, datatype: str) -> None:
    tensor = {"name": "any", "shape": [2, 3], "datatype": datatype, "data": data}
    body = shared.http.post("/v2/models/house/infer", json={"inputs": [tensor]}).json()
    rows = [dict(zip(("rooms", "area", "year"), part, strict=True)) for part in ([1, 2, 3], [4, 5, 6])]
    assert body["outputs"][0]["data"] == [one["label"] for one in house().predict(house().frame(rows))]


def test_only_the_outputs_that_were_asked_for(shared: Server) -> None:
    body = {"inputs": tensors([ROW]), "outputs": [{"name": "probabilities"}]}
    outputs = shared.http.post("/v2/models/churn/infer", json=body).json()["outputs"]
    assert [output["name"] for output in outputs] == ["probabilities"]


FP = {"name": "rooms", "shape": [1], "datatype": "FP64", "data": [1]}


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([], "empty"),
        ([FP], "features.area: is missing"),
        ([{**FP, "datatype": "COMPLEX"}], "data type"),
        ([{**FP, "shape": [2]}], "1 values"),
        ([{**FP, "shape": []}], "shape"),
        ([{**FP, "shape": [0], "data": []}], "shape"),
        ([{**FP, "shape": [1, 2], "data": [1, 2]}], "one value a row"),
        ([{**FP, "data": ["1"]}], "no FP64"),
        ([{**FP, "datatype": "INT64", "data": [1.5]}], "no INT64"),
        ([{**FP, "data": None}], "neither 'data' nor bytes"),
        ([FP, FP], "twice"),
        ([FP, {**FP, "name": "area", "shape": [2], "data": [1, 2]}], "rows"),
        ([{**FP, "shape": [1, 4], "data": [1, 2, 3, 4]}], "one value a row"),
        ([{**FP, "shape": [2, 3], "data": [[1, 2, 3], 4]}], "mixes"),
    ],
)
def test_wrong_tensors(shared: Server, inputs: list, told: str) -> None:
    response = shared.http.post("/v2/models/house/infer", json={"inputs": inputs})
    assert response.status_code == 422
    assert told in response.json()["error"]


def test_other_errors_have_the_protocols_shape(shared: Server) -> None:
    for response, status in (
        (shared.http.get("/v2/models/nobody"), 404),
        (shared.http.get("/v2/models/churn/versions/7/ready"), 404),
        (shared.http.get("/v2/nothing"), 404),
        (shared.http.get("/v2/models/churn/infer"), 405),
        (shared.http.post("/v2/models/nobody/infer", json={"inputs": [FP]}), 404),
        (shared.http.post("/v2/models/house/infer", content=b"{"), 400),
        (shared.http.post("/v2/models/house/infer", json={"inputs": [FP], "outputs": [{"name": "x"}]}), 422),
        (shared.http.post("/v2/models/house/infer", headers={"Inference-Header-Content-Length": "9"}, json={}), 400),
    ):
        assert response.status_code == status
        assert isinstance(response.json()["error"], str)
