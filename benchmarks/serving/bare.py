"""The limit, what a Python server can do at most with this model: decode, predict by ONNX Runtime, encode; no more.

The same handler as an ASGI and as an RSGI application. It checks nothing, records nothing, and knows one model.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np
import onnxruntime  # noqa: TID253 - a process of its own


class Features(msgspec.Struct):
    """One row."""

    x0: float
    x1: float
    x2: float
    x3: float
    x4: float
    x5: float


class Instance(msgspec.Struct):
    """The body of a request for one row."""

    features: Features


class Batch(msgspec.Struct):
    """The body of a request for many rows."""

    instances: list[Instance]


_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = _options.inter_op_num_threads = 1
_session = onnxruntime.InferenceSession(os.environ["BENCH_ONNX"], _options, providers=["CPUExecutionProvider"])
_one, _many = msgspec.json.Decoder(Instance), msgspec.json.Decoder(Batch)
_encode = msgspec.json.Encoder().encode
_row = msgspec.structs.astuple


def _scores(rows: list[tuple[Any, ...]]) -> list[list[float]]:
    scores: list[list[float]] = _session.run(["probabilities"], {"x": np.array(rows, dtype=np.float32)})[0].tolist()
    return scores


def _answer(scores: list[float]) -> dict[str, Any]:
    return {"label": int(scores[1] >= 0.5), "probabilities": {"0": scores[0], "1": scores[1]}}


def answer(path: str, body: bytes) -> bytes:
    """Return the answer to a body, in the form of our server's answers."""
    if path.endswith("/batch"):
        rows = [_row(instance.features) for instance in _many.decode(body).instances]
        return _encode({"predictions": [_answer(scores) for scores in _scores(rows)]})
    return _encode(_answer(_scores([_row(_one.decode(body).features)])[0]))


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer over ASGI."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    content = answer(scope["path"], body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def rsgi(scope: Any, protocol: Any) -> None:
    """Answer over RSGI, granian's own interface."""
    body = await protocol()
    protocol.response_bytes(200, [("content-type", "application/json")], answer(scope.path, body))
