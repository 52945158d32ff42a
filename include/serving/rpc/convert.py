"""Between the messages of gRPC and what `include.serving.open_inference.protocol` works with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from include.serving.errors import ServingError
from include.serving.messages import shape_error
from include.serving.open_inference.inference import Inferred
from include.serving.open_inference.protocol import Inference, InferRequest
from include.serving.open_inference.tensors import Output, Raw, to_bytes, without_nan
from include.serving.rpc import open_inference_pb2 as pb

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Data type → the field of `InferTensorContents` that holds it; FP16 has none."""


def inference_of(message: pb.ModelInferRequest) -> Inference:
    """Return the request in ``message``.

    Raises:
        ServingError: 400 the bytes are not one entry an input, 422 a field has an impossible value.
    """
    raw: list[Raw | None] = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        text = f"raw_input_contents has {len(raw)} entries for {len(message.inputs)} inputs; send one for each"
        raise ServingError(400, "malformed_tensor", text)
    found = {
        "inputs": [_tensor(tensor, with_data=not raw) for tensor in message.inputs],
        "id": message.id,
        "outputs": [{"name": item.name, "parameters": _values(item.parameters)} for item in message.outputs] or None,
        "parameters": _values(message.parameters),
    }
    try:
        request = msgspec.convert(found, InferRequest)
    except msgspec.ValidationError as error:
        raise shape_error(error) from error
    return Inference(request, raw or [None] * len(message.inputs))


def _tensor(tensor: pb.ModelInferRequest.InferInputTensor, with_data: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype}
    if tensor.parameters:
        shown["parameters"] = _values(tensor.parameters)
    field = _CONTENTS.get(tensor.datatype)
    if with_data and field is not None:
        values = list(getattr(tensor.contents, field))
        shown["data"] = without_nan(values) if tensor.datatype in ("FP32", "FP64") else values
    elif tensor.contents.ByteSize():
        shown["data"] = []  # refused together with the bytes: nobody could tell which of them counts
    return shown


def _values(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], kind) for name, kind in chosen.items() if kind is not None}


def response_to(message: pb.ModelInferRequest, inferred: Inferred) -> pb.ModelInferResponse:
    """Return the answer to ``message``; its tensors travel as those of the request did."""
    head = inferred.response
    response = pb.ModelInferResponse(model_name=head["model_name"], model_version=head["model_version"], id=head["id"])
    _set(response.parameters, head["parameters"])
    as_bytes = bool(message.raw_input_contents)
    for output in inferred.outputs:
        tensor = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        _set(tensor.parameters, output.parameters)
        if as_bytes:
            response.raw_output_contents.append(to_bytes(output))
        else:
            getattr(tensor.contents, _CONTENTS[output.datatype]).extend(_typed(output))
    return response


def _typed(output: Output) -> list[Any]:
    if output.datatype != "BYTES":
        return output.values
    return [str(value).encode("utf-8", "surrogatepass") for value in output.values]


def _set(target: Any, parameters: Mapping[str, str | int | float | bool]) -> None:
    fields = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    for name, value in parameters.items():
        setattr(target[name], fields[type(value)], value)
