"""The Open Inference Protocol over gRPC, asked by the house's own stub."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from include.serving.rpc import health_pb2, health_pb2_grpc, open_inference_pb2_grpc
from include.serving.rpc import open_inference_pb2 as pb
from include.specs import Platform
from include.store.api_keys import ApiKeyStore
from tests.integration.conftest import free_port
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, house, put

TABLE = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]])


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, grpc.Channel]]:
    """Return a server that speaks gRPC, with two workers on one port, and a channel to it."""
    folder = tmp_path_factory.mktemp("grpc")
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "FACTORY_HOME": str(folder / "home"), "FACTORY_MODELS_DIR": str(folder / "none"),
            "FACTORY_MLFLOW_URI": "http://127.0.0.1:9", "FACTORY_SERVICE_RETRY_SECONDS": "1",
            "FACTORY_SERVING__GRPC_PORT": str(port), "FACTORY_SERVING__MAX_BODY_MB": "1",
            "FACTORY_SERVING__REFRESH_SECONDS": "0.3",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        server = Server(Platform(), folder / "server.log")
        try:
            put(server.platform.home, "churn", 1, churn())
            put(server.platform.home, "house", 1, house())
            server.start()
            for name in ("churn", "house"):
                server.route(name, ("champion", 1, 100)).raise_for_status()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield server, channel
            assert server.stop() == 0
            assert " ERROR " not in server.log.read_text()
        finally:
            server.clean_up()


def request_of(table: np.ndarray, model: str = "house", raw: bool = True, **more: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model, **more)
    tensor = request.inputs.add(name="x", datatype="FP64", shape=table.shape)
    if raw:
        request.raw_input_contents.append(table.tobytes())
    else:
        tensor.contents.fp64_contents.extend(table.ravel().tolist())
    return request


def test_health_metadata_and_index(speaking: tuple[Server, grpc.Channel]) -> None:
    stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(speaking[1])
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="churn", version="1")).ready
    assert "binary_tensor_data" in stub.ServerMetadata(pb.ServerMetadataRequest()).extensions
    assert [one.datatype for one in stub.ModelMetadata(pb.ModelMetadataRequest(name="churn")).inputs] == [
        "FP64", "BOOL", "BYTES", "BYTES",
    ]  # fmt: skip
    assert {one.name for one in stub.RepositoryIndex(pb.RepositoryIndexRequest()).models} == {"churn", "house"}
    assert len(stub.ModelStatistics(pb.ModelStatisticsRequest()).model_stats) == 2
    health = health_pb2_grpc.HealthStub(speaking[1])
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="other"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_bytes_and_values_get_the_same_answer_each_in_its_way(speaking: tuple[Server, grpc.Channel]) -> None:
    server, channel = speaking
    stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
    raw = stub.ModelInfer(request_of(TABLE, id="a"))
    typed = stub.ModelInfer(request_of(TABLE, raw=False))
    assert raw.id == "a"
    assert not raw.outputs[0].HasField("contents")
    assert np.frombuffer(raw.raw_output_contents[0]).tolist() == list(typed.outputs[0].contents.fp64_contents)
    one = server.predict("house", {"rooms": 1, "area": 2, "year": 3}).json()
    assert typed.outputs[0].contents.fp64_contents[0] == pytest.approx(one["label"])


def test_mixed_columns_by_values(speaking: tuple[Server, grpc.Channel]) -> None:
    request = pb.ModelInferRequest(model_name="churn")
    request.inputs.add(name="age", datatype="FP64", shape=[1]).contents.fp64_contents.append(ROW["age"])
    request.inputs.add(name="vip", datatype="BOOL", shape=[1]).contents.bool_contents.append(ROW["vip"])
    for name in ("plan", "seen"):
        request.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.append(ROW[name].encode())
    request.parameters["explain"].bool_param = True
    answer = open_inference_pb2_grpc.GRPCInferenceServiceStub(speaking[1]).ModelInfer(request)
    assert [one.name for one in answer.outputs] == ["label", "probabilities", "base_value", "contributions"]
    by_rest = speaking[0].predict("churn", ROW).json()
    assert answer.outputs[0].contents.bytes_contents[0].decode() == by_rest["label"]
    assert list(answer.outputs[1].contents.fp64_contents) == pytest.approx(list(by_rest["probabilities"].values()))


def both() -> pb.ModelInferRequest:
    request = request_of(TABLE)
    request.inputs[0].contents.fp64_contents.append(1.0)
    return request


def wrong(**changes: Any) -> pb.ModelInferRequest:
    request = request_of(TABLE)
    for name, value in changes.items():
        if name == "shape":
            del request.inputs[0].shape[:]
            request.inputs[0].shape.extend(value)
        else:
            setattr(request.inputs[0], name, value)
    return request


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (request_of(TABLE, "nobody"), "NOT_FOUND"),
        (request_of(TABLE, model_version="7"), "NOT_FOUND"),
        (request_of(TABLE[:, :2]), "INVALID_ARGUMENT"),
        (request_of(TABLE * np.float64("inf")), "INVALID_ARGUMENT"),
        (wrong(datatype="FP9"), "INVALID_ARGUMENT"),
        (wrong(shape=[-2, 3]), "INVALID_ARGUMENT"),
        (wrong(shape=[1 << 40, 1 << 20]), "INVALID_ARGUMENT"),
        (wrong(shape=[]), "INVALID_ARGUMENT"),
        (both(), "INVALID_ARGUMENT"),
        (pb.ModelInferRequest(model_name="house"), "INVALID_ARGUMENT"),
        (pb.ModelInferRequest(model_name="house", raw_input_contents=[b"x"]), "INVALID_ARGUMENT"),
        (request_of(TABLE, id="x" * 100), "INVALID_ARGUMENT"),
        (request_of(np.zeros((10_001, 3))), "RESOURCE_EXHAUSTED"),
        (request_of(np.zeros((100_000, 3))), "RESOURCE_EXHAUSTED"),
    ],
)
def test_wrong_requests(speaking: tuple[Server, grpc.Channel], request_: pb.ModelInferRequest, code: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        open_inference_pb2_grpc.GRPCInferenceServiceStub(speaking[1]).ModelInfer(request_)
    assert caught.value.code().name == code, caught.value.details()
    assert caught.value.details()


def test_probes_and_variants_travel_as_metadata(speaking: tuple[Server, grpc.Channel]) -> None:
    server, channel = speaking
    ask = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
    answer = ask(request_of(TABLE), metadata=[("x-factory-variant", "champion")])
    assert answer.parameters["variant"].string_param == "champion"
    with pytest.raises(grpc.RpcError) as caught:
        ask(request_of(TABLE), metadata=[("x-factory-probe", "1")])
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert ask(request_of(TABLE), metadata=[("x-factory-probe", "1"), ("authorization", server.key["Authorization"])])


def test_keys_close_it(speaking: tuple[Server, grpc.Channel]) -> None:
    import time

    server, channel = speaking
    ask = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
    key, kept = ApiKeyStore(server.platform).create("shop", ["predict"])
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                ask(request_of(TABLE))
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED
                break
            time.sleep(0.1)
        else:
            pytest.fail("the first key closed nothing")
        assert ask(request_of(TABLE), metadata=[("x-api-key", key)])
        with pytest.raises(grpc.RpcError) as caught:
            ask(request_of(TABLE), metadata=[("authorization", "Bearer other")])
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
        assert open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ServerReady(pb.ServerReadyRequest()).ready
    finally:
        ApiKeyStore(server.platform).revoke(kept.id)


def test_a_server_without_grpc_does_not_import_it() -> None:
    code = "import sys, include.serving.worker; sys.exit('grpc' in sys.modules or 'shap' in sys.modules)"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
