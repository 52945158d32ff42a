"""How the Open Inference Protocol travels over REST: JSON, and tensors as bytes behind it.

``Inference-Header-Content-Length`` says where the JSON ends; ``binary_data_size`` of each input how many bytes are its.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from include.serving.errors import ServingError
from include.serving.messages import ENCODER, decode
from include.serving.open_inference.protocol import Inference, InferRequest
from include.serving.open_inference.tensors import Output, Raw, Tensor, to_bytes, to_json

HEADER = "inference-header-content-length"
INFER = msgspec.json.Decoder(InferRequest)


def parse(body: bytes, json_length: str | None) -> Inference:
    """Return the request in ``body``.

    Args:
        body: JSON, then the bytes of its binary tensors.
        json_length: the header of that name; None when all of the body is JSON.

    Raises:
        ServingError: 400 the body is no JSON or the lengths do not fit it, 422 it is JSON of another shape.
    """
    if json_length is None:
        request = decode(INFER, body)
        return Inference(request, [None] * len(request.inputs))
    if not (json_length.isascii() and json_length.isdigit() and len(json_length) < 12):
        raise _malformed("Inference-Header-Content-Length is no number of bytes")
    end = int(json_length)
    if end > len(body):
        raise _malformed(f"Inference-Header-Content-Length is {end}, the body has {len(body)} bytes")
    request = decode(INFER, body[:end])
    return Inference(request, _cut(memoryview(body)[end:], request.inputs))


def _cut(content: memoryview, tensors: Sequence[Tensor]) -> list[Raw | None]:
    """Return the bytes of each tensor.

    Raises:
        ServingError: 400, the stated sizes are not what is there.
    """
    parts: list[Raw | None] = []
    offset = 0
    for tensor in tensors:
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            parts.append(None)
            continue
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise _malformed(f"'binary_data_size' of '{tensor.name[:100]}' is no number of bytes")
        if offset + size > len(content):
            message = f"'{tensor.name[:100]}' wants more bytes than the {len(content)} behind the JSON leave"
            raise _malformed(message)
        parts.append(content[offset : offset + size])
        offset += size
    if offset != len(content):
        raise _malformed(f"{len(content)} bytes follow the JSON, its tensors take {offset}")
    return parts


def _malformed(message: str) -> ServingError:
    return ServingError(400, "malformed_tensor", message)


def render(
    inference: Inference, response: dict[str, Any], outputs: Sequence[Output]
) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return the response's body and the headers that it needs: none when it is JSON alone."""
    shown, parts = [], []
    for output, binary in zip(outputs, _binary(inference, len(outputs)), strict=True):
        content = to_bytes(output) if binary else None
        shown.append(to_json(output, None if content is None else len(content)))
        if content is not None:
            parts.append(content)
    body = ENCODER.encode({**response, "outputs": shown})
    if not parts:
        return body, ()
    headers = (("content-type", "application/octet-stream"), (HEADER, str(len(body))))
    return b"".join((body, *parts)), headers


def _binary(inference: Inference, count: int) -> list[bool]:
    """Tell for each output whether it is wanted as bytes: its own word counts before that of the request."""
    default = inference.parameter("binary_data_output") is True
    asked = inference.request.outputs or ()
    wanted = [(output.parameters or {}).get("binary_data", default) is True for output in asked]
    return wanted + [default] * (count - len(wanted))
