"""NVIDIA's tritonclient over gRPC: every input and output travels as bytes."""

from __future__ import annotations

import os

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from rows import CHURN, HOUSE, churn_inputs
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="module")
def client():
    with triton.InferenceServerClient(os.environ["CONFORMANCE_GRPC"]) as found:
        yield found


def house_input(table: np.ndarray) -> triton.InferInput:
    kinds = {"float64": "FP64", "float32": "FP32", "float16": "FP16", "int64": "INT64", "uint8": "UINT8"}
    tensor = triton.InferInput("x", list(table.shape), kinds[str(table.dtype)])
    tensor.set_data_from_numpy(table)
    return tensor


def test_health_and_metadata(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn")
    assert client.is_model_ready("churn", "1")
    assert client.get_server_metadata().name == "model-factory"
    assert [item.name for item in client.get_model_metadata("churn").inputs] == ["age", "vip", "plan", "seen"]
    assert [(item.name, item.state) for item in client.get_model_repository_index().models if item.name == "house"] == [
        ("house", "READY")
    ]
    assert client.get_inference_statistics("house").model_stats[0].version == "1"


def test_mixed_columns(client) -> None:
    inputs = []
    for name, datatype, values in churn_inputs():
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    result = client.infer("churn", inputs, request_id="triton-2", model_version="1")
    assert result.get_response().id == "triton-2"
    probabilities = result.as_numpy("probabilities")
    assert probabilities.shape == (len(CHURN), 2)
    assert [label.decode() for label in result.as_numpy("label")] == [
        "leaves" if p >= 0.5 else "stays" for p in probabilities[:, 1]
    ]


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "u1"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_numbers(client, dtype: str, compression: str | None) -> None:
    table = np.abs(HOUSE).round().astype(dtype)
    found = client.infer("house", [house_input(table)], compression_algorithm=compression)
    wanted = client.infer("house", [house_input(table.astype("f8"))])
    np.testing.assert_array_equal(found.as_numpy("label"), wanted.as_numpy("label"))


def test_requested_outputs_and_classification(client) -> None:
    outputs = [triton.InferRequestedOutput("probabilities", class_count=1)]
    found = client.infer("digits", [house_input(HOUSE)], outputs=outputs).as_numpy("probabilities")
    assert found.shape == (len(HOUSE), 1)


async def _asynchronously() -> np.ndarray:
    async with triton_aio.InferenceServerClient(os.environ["CONFORMANCE_GRPC"]) as client:
        return (await client.infer("house", [house_input(HOUSE)])).as_numpy("label")


def test_asyncio(client) -> None:
    import asyncio

    wanted = client.infer("house", [house_input(HOUSE)]).as_numpy("label")
    np.testing.assert_array_equal(asyncio.run(_asynchronously()), wanted)


def test_typed_contents_are_answered_so() -> None:
    """Triton's own messages, filled by hand: values instead of bytes."""
    with grpc.insecure_channel(os.environ["CONFORMANCE_GRPC"]) as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        request = service_pb2.ModelInferRequest(model_name="house")
        tensor = request.inputs.add(name="x", datatype="FP64", shape=[3, 3])
        tensor.contents.fp64_contents.extend(HOUSE.ravel().tolist())
        response = call(request)
        assert len(response.outputs[0].contents.fp64_contents) == len(HOUSE)
        assert not response.raw_output_contents


def test_errors(client) -> None:
    cases = (
        ("nobody", HOUSE, "NOT_FOUND"),
        ("house", HOUSE[:, :2], "INVALID_ARGUMENT"),
        ("house", np.full((1, 3), np.inf), "INVALID_ARGUMENT"),
        ("house", np.zeros((10_001, 3)), "RESOURCE_EXHAUSTED"),
        ("house", np.zeros((1_000_000, 3)), "RESOURCE_EXHAUSTED"),
    )
    for model, table, code in cases:
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, [house_input(table)])
        assert code in caught.value.status(), caught.value


def test_deadlines(client) -> None:
    with pytest.raises(InferenceServerException, match="Deadline"):
        client.infer("house", [house_input(HOUSE)], client_timeout=1e-6)
