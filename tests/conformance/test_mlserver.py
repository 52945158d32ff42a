"""What MLServer's clients are made of: its types, its codecs, its converters to gRPC, and its ``infer`` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
import numpy as np
import pandas as pd
import pytest
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.grpc import converters, dataplane_pb2_grpc
from mlserver.grpc.converters import ModelInferRequestConverter, ModelInferResponseConverter
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataServerResponse
from rows import CHURN, HOUSE

URL = os.environ["CONFORMANCE_URL"]
FRAME = pd.DataFrame(CHURN)


def infer(model: str, request: InferenceRequest) -> InferenceResponse:
    response = httpx.post(f"{URL}/v2/models/{model}/infer", json=request.model_dump(exclude_none=True, mode="json"))
    assert response.status_code == 200, response.text
    return InferenceResponse.model_validate_json(response.content)


def infer_grpc(model: str, request: InferenceRequest, raw: bool) -> InferenceResponse:
    with grpc.insecure_channel(os.environ["CONFORMANCE_GRPC"]) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        message = ModelInferRequestConverter.from_types(request, model_name=model, use_raw=raw)
        return ModelInferResponseConverter.to_types(stub.ModelInfer(message))


def test_metadata() -> None:
    MetadataServerResponse.model_validate(httpx.get(f"{URL}/v2").json())
    found = MetadataModelResponse.model_validate(httpx.get(f"{URL}/v2/models/churn").json())
    assert [item.name for item in found.inputs or ()] == list(FRAME.columns)


def test_pandas_codec() -> None:
    request = PandasCodec.encode_request(FRAME, use_bytes=False)
    answers = PandasCodec.decode_response(infer("churn", request))
    assert list(answers.columns) == ["label", "probability_stays", "probability_leaves"]
    assert answers["label"].tolist() == ["leaves" if p >= 0.5 else "stays" for p in answers["probability_leaves"]]


def test_pandas_codec_with_gaps() -> None:
    frame = FRAME.assign(age=[33.0, np.nan, 20.0])
    answers = PandasCodec.decode_response(infer("churn", PandasCodec.encode_request(frame, use_bytes=False)))
    assert len(answers) == len(frame)


def test_numpy_request_codec() -> None:
    labels = NumpyRequestCodec.decode_response(infer("digits", NumpyRequestCodec.encode_request(HOUSE)))
    assert labels.shape == (len(HOUSE),)
    assert set(labels.tolist()) <= {0, 1, 2}
    gaps = HOUSE.copy()
    gaps[0, 0] = np.nan
    assert np.isfinite(NumpyRequestCodec.decode_response(infer("house", NumpyRequestCodec.encode_request(gaps)))).all()


def test_codecs_a_tensor() -> None:
    inputs = [
        NumpyCodec.encode_input("age", FRAME["age"].to_numpy()),
        NumpyCodec.encode_input("vip", FRAME["vip"].to_numpy()),
        StringCodec.encode_input("plan", FRAME["plan"].tolist(), use_bytes=False),
        StringCodec.encode_input("seen", FRAME["seen"].tolist(), use_bytes=False),
    ]
    response = infer("churn", InferenceRequest(inputs=inputs))
    assert set(StringCodec.decode_output(response.outputs[0])) <= {"stays", "leaves"}
    assert NumpyCodec.decode_output(response.outputs[1]).shape == (len(CHURN), 2)


@pytest.mark.parametrize("raw", [True, False])
def test_grpc(raw: bool) -> None:
    answers = PandasCodec.decode_response(infer_grpc("churn", PandasCodec.encode_request(FRAME), raw))
    assert list(answers.columns) == ["label", "probability_stays", "probability_leaves"]
    labels = NumpyRequestCodec.decode_response(infer_grpc("digits", NumpyRequestCodec.encode_request(HOUSE), raw))
    assert labels.shape == (len(HOUSE),)


def test_grpc_metadata() -> None:
    with grpc.insecure_channel(os.environ["CONFORMANCE_GRPC"]) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        found = stub.ModelMetadata(converters.pb.ModelMetadataRequest(name="churn"))
        assert converters.ModelMetadataResponseConverter.to_types(found).name == "churn"
        assert stub.ServerReady(converters.pb.ServerReadyRequest()).ready


def test_infer_command(tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    request = NumpyRequestCodec.encode_request(HOUSE).model_dump(exclude_none=True, mode="json")
    source.write_text("\n".join(json.dumps(request) for _ in range(5)), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("mlserver")), "infer", "-u", URL.removeprefix("http://"), "-m", "house",
               "-i", str(source), "-o", str(target), "-b"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 5
    assert all("error" not in line for line in lines), lines
