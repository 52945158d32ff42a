"""KServe's own clients: REST by the second protocol and the first (their default), and gRPC."""

from __future__ import annotations

import asyncio
import os

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from rows import CHURN, HOUSE, churn_inputs

URL = os.environ["CONFORMANCE_URL"]


def churn_request(binary: bool) -> InferRequest:
    inputs = []
    for name, datatype, values in churn_inputs():
        tensor = InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    return InferRequest("churn", inputs)


def house_request(**more) -> InferRequest:
    tensor = InferInput("x", list(HOUSE.shape), "FP64")
    tensor.set_data_from_numpy(HOUSE, binary_data=more.pop("binary", True))
    return InferRequest("house", [tensor], **more)


def rest(protocol: str, ask):
    async def run():
        async with InferenceRESTClient(RESTConfig(protocol=protocol)) as client:
            return await ask(client)

    return asyncio.run(run())


def rpc(ask):
    async def run():
        async with InferenceGRPCClient(os.environ["CONFORMANCE_GRPC"]) as client:
            return await ask(client)

    return asyncio.run(run())


def test_v2_health() -> None:
    assert rest("v2", lambda client: client.is_server_live(URL))
    assert rest("v2", lambda client: client.is_server_ready(URL))
    assert rest("v2", lambda client: client.is_model_ready(URL, "churn"))
    assert not rest("v2", lambda client: client.is_model_ready(URL, "nobody"))


@pytest.mark.parametrize("binary", [True, False])
def test_v2_infer(binary: bool) -> None:
    response = rest("v2", lambda client: client.infer(URL, churn_request(binary), model_name="churn"))
    assert [output.name for output in response.outputs] == ["label", "probabilities"]
    probabilities = np.array(response.outputs[1].data).reshape(response.outputs[1].shape)
    assert response.outputs[0].data == ["leaves" if p >= 0.5 else "stays" for p in probabilities[:, 1]]
    assert len(probabilities) == len(CHURN)


def test_v2_infer_answers_bytes_on_request() -> None:
    asked = house_request(request_outputs=[RequestedOutput("label", {"binary_data": True})])
    found = rest("v2", lambda client: client.infer(URL, asked, model_name="house"))
    wanted = rest("v2", lambda client: client.infer(URL, house_request(binary=False), model_name="house"))
    assert found.outputs[0].data == wanted.outputs[0].data


def test_v2_errors() -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        rest("v2", lambda client: client.infer(URL, house_request(), model_name="nobody"))


def test_v1_is_the_clients_default() -> None:
    async def ask(client):
        assert await client.is_server_live(URL)
        assert await client.is_model_ready(URL, "churn")
        named = await client.infer(URL, {"instances": CHURN}, model_name="churn")
        listed = await client.infer(URL, {"instances": [list(row.values()) for row in CHURN]}, model_name="churn")
        values = await client.infer(URL, {"instances": HOUSE.tolist()}, model_name="house")
        explained = await client.explain(URL, "house", {"instances": HOUSE.tolist()})
        return named, listed, values, explained

    async def run():
        async with InferenceRESTClient() as client:
            return await ask(client)

    named, listed, values, explained = asyncio.run(run())
    assert named == listed
    assert set(named["predictions"][0]) == {"label", "probability_stays", "probability_leaves"}
    assert all(isinstance(value, float) for value in values["predictions"])
    for value, record in zip(values["predictions"], explained["explanations"], strict=True):
        parts = record["explanation"]
        assert parts["base_value"] + sum(parts["contributions"].values()) == pytest.approx(value)


def test_grpc() -> None:
    assert rpc(lambda client: client.is_server_live())
    assert rpc(lambda client: client.is_server_ready())
    assert rpc(lambda client: client.is_model_ready("house"))
    raw = rpc(lambda client: client.infer(house_request()))
    typed = rpc(lambda client: client.infer(house_request(binary=False)))
    np.testing.assert_array_equal(raw.outputs[0].as_numpy(), typed.outputs[0].as_numpy())
    with pytest.raises(grpc.RpcError, match="no model 'nobody'"):
        rpc(lambda client: client.is_model_ready("nobody"))
