"""Tensors as JSON and bytes: what was meant comes out, and nothing that is sent breaks the reader."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.serving.errors import ServingError
from include.serving.open_inference import framing
from include.serving.open_inference.protocol import Inference, InferRequest, outputs_of, to_instances
from include.serving.open_inference.tensors import DTYPES, Output, Tensor, to_bytes, values_of
from include.store.packages import Field, Manifest

NUMBERS = tuple(Field(name=name, type="number") for name in "abc")


def manifest(classes: tuple[Any, ...] | None = ("no", "yes")) -> Manifest:
    return Manifest(
        model="m", task="binary" if classes else "regression", target="t", features=NUMBERS, classes=classes,
        algorithm="any", run="r", trained_at=datetime.now(UTC),
    )  # fmt: skip


def framed(tensors: list[dict[str, Any]], *parts: bytes, **more: Any) -> tuple[bytes, str]:
    head = json.dumps({"inputs": tensors, **more}).encode()
    return head + b"".join(parts), str(len(head))


def binary(size: Any, shape: list[int] | None = None, datatype: str = "FP64", name: str = "x") -> dict[str, Any]:
    return {"name": name, "shape": shape or [1, 3], "datatype": datatype, "parameters": {"binary_data_size": size}}


@pytest.mark.parametrize("datatype", sorted(DTYPES))
def test_bytes_of_every_type_are_their_values(datatype: str) -> None:
    values = np.array([0, 1, 1], dtype=DTYPES[datatype])
    body, length = framed([binary(values.nbytes, datatype=datatype)], values.tobytes())
    inference = framing.parse(body, length)
    assert values_of(inference.request.inputs[0], inference.raw[0]) == values.tolist()
    assert to_bytes(Output("x", datatype, [1, 3], values.tolist())) == values.tobytes()


@given(st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_text_survives_its_bytes(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    raw = to_bytes(Output("x", "BYTES", [len(texts)], texts))
    assert values_of(Tensor("x", [len(texts)], "BYTES"), raw) == texts


def test_not_a_number_is_a_missing_value() -> None:
    raw = np.array([np.nan, 1.5, np.inf], dtype="<f4").tobytes()
    assert values_of(Tensor("x", [3], "FP32"), raw) == [None, 1.5, np.inf]
    assert values_of(Tensor("x", [2], "BYTES", ["", "b"], {"missing": ""})) == [None, "b"]


def test_codecs_of_text() -> None:
    assert values_of(Tensor("x", [2], "BYTES", ["1.5", '"a"'], {"content_type": "pd_json"})) == [1.5, "a"]
    assert values_of(Tensor("x", [1], "BYTES", ["YWI="], {"content_type": "base64"})) == ["ab"]


EIGHT = struct.pack("<d", 1.0)


@pytest.mark.parametrize(
    ("tensors", "content", "length", "status", "told"),
    [
        ([binary(24)], EIGHT * 2, None, 400, "wants more bytes"),
        ([binary(24)], EIGHT * 4, None, 400, "32 bytes follow"),
        ([binary(-8)], EIGHT * 3, None, 400, "no number of bytes"),
        ([binary(True)], EIGHT * 3, None, 400, "no number of bytes"),
        ([binary("24")], EIGHT * 3, None, 400, "no number of bytes"),
        ([binary(1 << 62)], EIGHT * 3, None, 400, "wants more bytes"),
        ([binary(16)], EIGHT * 2, None, 422, "16 bytes; FP64 of shape [1, 3] takes 24"),
        ([binary(24)], EIGHT * 3, "x", 400, "no number"),
        ([binary(24)], EIGHT * 3, "-5", 400, "no number"),
        ([binary(24)], EIGHT * 3, "999999", 400, "the body has"),
        ([binary(24)], EIGHT * 3, "9" * 30, 400, "no number"),
        ([binary(24)], EIGHT * 3, "5", 400, "not valid JSON"),
        ([binary(24, datatype="FP8")], EIGHT * 3, None, 422, "data type 'FP8'"),
        ([binary(24, shape=[-1, 3])], EIGHT * 3, None, 422, "shape"),
        ([binary(24, shape=[2**40, 3])], EIGHT * 3, None, 422, "shape"),
        ([binary(24, shape=[2**31 - 1] * 8)], EIGHT * 3, None, 422, "takes"),
        ([binary(24, shape=[1] * 9)], EIGHT * 3, None, 422, "shape"),
        ([binary(24, shape=[0, 3])], EIGHT * 3, None, 422, "none may be empty"),
        ([binary(3, datatype="BOOL")], b"\1\0\7", None, 422, "neither 0 nor 1"),
        ([binary(12, datatype="BYTES")], struct.pack("<III", 1 << 31, 0, 0), None, 422, "longer than its bytes"),
        ([binary(12, [1], "BYTES")], struct.pack("<III", 1, 0, 0), None, 422, "not the 1 elements"),
        ([binary(4, [4_000_000, 1], "BYTES")], struct.pack("<I", 0), None, 422, "too few"),
        ([binary(6, [1], "BYTES")], struct.pack("<I", 2) + b"\xff\xfe", None, 422, "not UTF-8"),
        ([{**binary(24), "data": [1, 2, 3]}], EIGHT * 3, None, 422, "as well as bytes"),
    ],
)
def test_lies_are_told_apart(tensors: list, content: bytes, length: str | None, status: int, told: str) -> None:
    body, true_length = framed(tensors, content)
    with pytest.raises(ServingError) as caught:
        to_instances(framing.parse(body, length or true_length), manifest(), "id")
    assert caught.value.status == status
    assert told in caught.value.protocol_body()["error"]


@settings(max_examples=300, deadline=None)
@given(
    size=st.one_of(st.none(), st.integers(-10, 80), st.integers(), st.booleans(), st.text(max_size=3)),
    shape=st.lists(st.one_of(st.integers(-2, 5), st.integers()), max_size=4),
    datatype=st.one_of(st.sampled_from([*DTYPES, "BYTES"]), st.text(max_size=5)),
    content=st.binary(max_size=80),
    shift=st.one_of(st.just(0), st.integers(-50, 50)),
    more=st.dictionaries(
        st.sampled_from(["id", "parameters", "outputs"]),
        st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)),
        max_size=2,
    ),
)
def test_whatever_is_sent_is_read_or_refused(
    size: Any, shape: list, datatype: str, content: bytes, shift: int, more: dict
) -> None:
    tensor = {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}
    body, length = framed([tensor], content, **more)
    try:
        instances = to_instances(framing.parse(body, str(int(length) + shift)), manifest(), "id")
    except ServingError as error:
        assert error.status in (400, 422)
    else:
        assert 1 <= len(instances) <= len(content)


@settings(max_examples=200, deadline=None)
@given(
    data=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=12,
    ),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    datatype=st.sampled_from([*DTYPES, "BYTES"]),
)
def test_whatever_json_is_sent_is_read_or_refused(data: Any, shape: list, datatype: str) -> None:
    body = json.dumps({"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "data": data}]}).encode()
    try:
        inference = framing.parse(body, None)
        assert len(values_of(inference.request.inputs[0])) == np.prod(shape)
    except ServingError as error:
        assert error.status == 422
    except ValueError as error:
        assert str(error)


def test_nested_data_must_be_nested_as_the_shape_says() -> None:
    assert values_of(Tensor("x", [2, 3], "FP64", [[1, 2, 3], [4, 5, 6]])) == [1, 2, 3, 4, 5, 6]
    for data in ([[1, 2], [3, 4], [5, 6]], [[1, 2, 3], [4, 5]], [[[1, 2, 3], [4, 5, 6]]]):
        with pytest.raises(ValueError, match=r"nested|values"):
            values_of(Tensor("x", [2, 3], "FP64", data))


ANSWER = {
    "id": "a", "model": "m", "version": "1", "variant": "champion", "label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}
}  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        (None, ["label", "probabilities"]),
        ({"content_type": "pd"}, ["label", "probability_no", "probability_yes"]),
        ({"content_type": "np"}, ["label"]),
    ],
)
def test_outputs_fit_the_codec_that_asks(parameters: dict | None, names: list[str]) -> None:
    inference = Inference(InferRequest([], parameters=parameters), [])
    assert [output.name for output in outputs_of(inference, manifest(), [ANSWER])] == names


def test_binary_outputs_follow_the_json_in_order() -> None:
    asked = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]
    body = json.dumps({"inputs": [], "outputs": asked}).encode()
    inference = framing.parse(body, None)
    outputs = outputs_of(inference, manifest(), [ANSWER])
    content, headers = framing.render(inference, {"model_name": "m"}, outputs)
    end = int(dict(headers)[framing.HEADER])
    shown = json.loads(content[:end])["outputs"]
    assert shown[0]["parameters"]["binary_data_size"] == 16
    assert "data" not in shown[0]
    assert shown[1]["data"] == ["yes"]
    assert np.frombuffer(content[end:]).tolist() == [0.25, 0.75]


def test_classification_gives_the_likeliest_classes_as_text() -> None:
    body = json.dumps(
        {"inputs": [], "outputs": [{"name": "probabilities", "parameters": {"classification": 5}}]}
    ).encode()
    output = outputs_of(framing.parse(body, None), manifest(), [ANSWER])[0]
    assert (output.datatype, output.shape) == ("BYTES", [1, 2])
    assert output.values == ["0.750000:1:yes", "0.250000:0:no"]
