"""NVIDIA's tritonclient over HTTP, with the settings that it has by default: tensors as bytes in both directions."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tritonclient.http as triton
from rows import CHURN, HOUSE, churn_inputs
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="module")
def client():
    with triton.InferenceServerClient(os.environ["CONFORMANCE_URL"].removeprefix("http://"), concurrency=4) as found:
        yield found


def house_input(table: np.ndarray, binary: bool = True) -> triton.InferInput:
    kinds = {"float64": "FP64", "float32": "FP32", "float16": "FP16", "int64": "INT64", "int32": "INT32",
             "int8": "INT8", "uint8": "UINT8", "uint16": "UINT16", "uint64": "UINT64", "bool": "BOOL"}  # fmt: skip
    tensor = triton.InferInput("x", list(table.shape), kinds[str(table.dtype)])
    tensor.set_data_from_numpy(table, binary_data=binary)
    return tensor


def test_health_and_metadata(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn")
    assert client.is_model_ready("churn", "1")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["name"] == "model-factory"
    found = client.get_model_metadata("churn", "1")
    assert [item["name"] for item in found["inputs"]] == ["age", "vip", "plan", "seen"]
    config = client.get_model_config("house")
    assert config["name"] == "house"
    assert config["input"][0]["data_type"] == "TYPE_FP64"
    index = client.get_model_repository_index()
    assert {"name": "churn", "version": "1", "state": "READY", "reason": ""} in index


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_mixed_columns(client, binary_in: bool, binary_out: bool) -> None:
    inputs = []
    for name, datatype, values in churn_inputs():
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary_in)
        inputs.append(tensor)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("probabilities", "label")]
    result = client.infer("churn", inputs, outputs=outputs, request_id="triton-1")
    assert result.get_response()["id"] == "triton-1"
    probabilities, labels = result.as_numpy("probabilities"), result.as_numpy("label")
    assert probabilities.shape == (len(CHURN), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    texts = [label.decode() if isinstance(label, bytes) else label for label in labels]
    assert texts == ["leaves" if p >= 0.5 else "stays" for p in probabilities[:, 1]]


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i1", "u1", "u2", "u8"])
def test_every_number_type_gives_the_answer_of_its_values(client, dtype: str) -> None:
    table = np.abs(HOUSE).round().astype(dtype)
    found = client.infer("house", [house_input(table)]).as_numpy("label")
    assert found.dtype == np.float64
    wanted = client.infer("house", [house_input(table.astype("f8"), binary=False)]).as_numpy("label")
    np.testing.assert_array_equal(found, wanted)


def test_a_tensor_a_feature_asynchronously(client) -> None:
    columns = []
    for name, values in zip(("rooms", "area", "year"), HOUSE.T, strict=True):
        tensor = triton.InferInput(name, [len(HOUSE), 1], "FP64")
        tensor.set_data_from_numpy(np.ascontiguousarray(values[:, None]))
        columns.append(tensor)
    futures = [client.async_infer("house", columns) for _ in range(8)]
    wanted = client.infer("house", [house_input(HOUSE)]).as_numpy("label")
    for future in futures:
        np.testing.assert_array_equal(future.get_result().as_numpy("label"), wanted)


def test_classification(client) -> None:
    outputs = [triton.InferRequestedOutput("probabilities", class_count=2)]
    found = client.infer("digits", [house_input(HOUSE)], outputs=outputs).as_numpy("probabilities")
    assert found.shape == (len(HOUSE), 2)
    value, index, name = found[0, 0].decode().split(":")
    assert 1 / 3 <= float(value) <= 1
    assert index == name


def test_ten_thousand_rows(client) -> None:
    table = np.random.default_rng(0).normal(size=(10_000, 3))
    assert client.infer("house", [house_input(table)]).as_numpy("label").shape == (10_000,)


def test_missing_numbers_are_nan(client) -> None:
    table = HOUSE.copy()
    table[0, 1] = np.nan
    assert np.isfinite(client.infer("house", [house_input(table)]).as_numpy("label")).all()


def test_statistics_count_rows(client) -> None:
    before = client.get_inference_statistics("house")["model_stats"][0]["inference_count"]
    client.infer("house", [house_input(HOUSE)])
    assert client.get_inference_statistics("house")["model_stats"][0]["inference_count"] == before + len(HOUSE)


def test_errors(client) -> None:
    for model, table, status in (
        ("nobody", HOUSE, "404"),
        ("house", HOUSE[:, :2], "422"),
        ("house", np.full((1, 3), np.inf), "422"),
    ):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, [house_input(table)])
        assert caught.value.status() == status, caught.value
