"""Tensors of the Open Inference Protocol, as every transport carries them: JSON, bytes behind JSON, protobuf.

Nothing here trusts a size that a caller states: shape, data type and data have to agree before a value is looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from struct import Struct
from typing import Annotated, Any

import msgspec
import numpy as np

Raw = bytes | memoryview
Dimension = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
Shape = Annotated[list[Dimension], msgspec.Meta(min_length=1, max_length=8)]
_LENGTH = Struct("<I")
_INTEGERS = {
    f"{sign}INT{bits}": f"<{letter}{bits // 8}" for sign, letter in (("", "i"), ("U", "u")) for bits in (8, 16, 32, 64)
}
DTYPES: dict[str, str] = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "BOOL": "?", **_INTEGERS}
"""Data types of fixed width, and how numpy calls their little-endian, row-major bytes."""
_JSON_TYPES: dict[str, frozenset[type]] = {
    **dict.fromkeys(("FP64", "FP32", "FP16"), frozenset((int, float))),
    **dict.fromkeys(_INTEGERS, frozenset((int,))),
    "BOOL": frozenset((bool, int)),
    "BYTES": frozenset((str, bytes)),
}
DATATYPES = tuple(sorted(_JSON_TYPES))


class Tensor(msgspec.Struct, omit_defaults=True):
    """A named tensor; ``data`` is flat or nested, in row-major order, and absent when its bytes travel apart."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    shape: Shape
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class Output:
    """A tensor of an answer: flat values in row-major order, none of them missing."""

    name: str
    datatype: str
    shape: list[int]
    values: list[Any]
    parameters: dict[str, str | int | float | bool] = field(default_factory=dict)


def values_of(tensor: Tensor, raw: Raw | None = None) -> list[Any]:
    """Return the tensor's values, flat; a missing one is None.

    Args:
        tensor: what the caller says of it.
        raw: its bytes, when they travelled apart from it.

    Raises:
        ValueError: data, shape and data type do not agree; the message never repeats a value.
    """
    if tensor.datatype not in _JSON_TYPES:
        raise ValueError(f"has data type '{tensor.datatype[:32]}'; use one of {', '.join(DATATYPES)}")
    if min(tensor.shape) < 1:
        raise ValueError(f"has shape {tensor.shape}; the first dimension counts the rows, and none may be empty")
    if raw is not None:
        if tensor.data is not None:
            raise ValueError("has 'data' as well as bytes; send one of them")
        values = _strings(raw, tensor.shape) if tensor.datatype == "BYTES" else _numbers(tensor, raw)
    elif tensor.data is None:
        raise ValueError("has neither 'data' nor bytes; tensors in shared memory are not supported")
    else:
        values = _listed(tensor)
    return _converted(tensor, values)


def _numbers(tensor: Tensor, raw: Raw) -> list[Any]:
    dtype = np.dtype(DTYPES[tensor.datatype])
    wanted = prod(tensor.shape) * dtype.itemsize
    if len(raw) != wanted:
        raise ValueError(f"has {len(raw)} bytes; {tensor.datatype} of shape {tensor.shape} takes {wanted}")
    if tensor.datatype == "BOOL":
        flags = np.frombuffer(raw, np.uint8)
        if flags.max() > 1:
            raise ValueError("holds a byte that is neither 0 nor 1")
        return list(flags.astype(bool).tolist())
    array = np.frombuffer(raw, dtype)
    return without_nan(array) if dtype.kind == "f" else list(array.tolist())


def without_nan(values: Sequence[float] | np.ndarray[Any, Any]) -> list[float | None]:
    """Return ``values`` with None, a missing value, where a number is none."""
    array = np.asarray(values)
    if not (missing := np.isnan(array)).any():
        return list(array.tolist())
    objects = array.astype(object)
    objects[missing] = None
    return list(objects.tolist())


def _strings(raw: Raw, shape: Sequence[int]) -> list[Any]:
    """Return elements that each follow their length, a little-endian uint32."""
    count, offset, size = prod(shape), 0, len(raw)
    if count * _LENGTH.size > size:
        raise ValueError(f"has {size} bytes, too few for the {count} elements of shape {list(shape)}")
    content, found = bytes(raw), list[bytes]()
    while offset < size and len(found) < count:
        if offset + _LENGTH.size > size:
            raise ValueError("ends in the middle of an element's length")
        start = offset + _LENGTH.size
        offset = start + _LENGTH.unpack_from(content, offset)[0]
        if offset > size:
            raise ValueError("has an element that is longer than its bytes")
        found.append(content[start:offset])
    if offset != size or len(found) != count:
        raise ValueError(f"its bytes are not the {count} elements of shape {list(shape)}")
    return found


def _listed(tensor: Tensor) -> list[Any]:
    """Return the values of ``data``, which is flat or nested exactly as the shape says."""
    values: list[Any] = tensor.data or []
    wanted = prod(tensor.shape)
    if values and isinstance(values[0], list):
        for depth, size in enumerate(tensor.shape[1:], start=1):
            if set(map(type, values)) != {list}:
                raise ValueError("mixes values and arrays")
            if set(map(len, values)) != {size}:
                raise ValueError(f"is not nested as its shape {tensor.shape} says, in dimension {depth}")
            values = list(chain.from_iterable(values))
    if len(values) != wanted:
        raise ValueError(f"has {len(values)} values, its shape {tensor.shape} wants {wanted}")
    if set(map(type, values)) - _JSON_TYPES[tensor.datatype] - {type(None)}:
        raise ValueError(f"holds a value that is no {tensor.datatype}")
    return values


# Text, and the codecs that MLServer's clients announce for it


def _converted(tensor: Tensor, values: list[Any]) -> list[Any]:
    """Return ``values`` as a model's features are: text decoded, by the codec that the tensor's parameters name."""
    if tensor.datatype != "BYTES":
        return values
    parameters = tensor.parameters or {}
    codec = _CODECS.get(str(parameters.get("content_type")), _text)
    missing = parameters.get("missing")
    decoded = [None if value is None else codec(value) for value in values]
    return decoded if missing is None else [None if value == missing else value for value in decoded]


def _text(value: str | bytes) -> str:
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError as error:
        raise ValueError("holds text that is not UTF-8") from error


def _base64(value: str | bytes) -> str:
    try:
        return _text(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError("holds text that is not base64 of UTF-8") from error


def _json(value: str | bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("holds text that is not JSON") from error


_CODECS: dict[str, Callable[[str | bytes], Any]] = {"base64": _base64, "pd_json": _json}


# Answers


def to_bytes(output: Output) -> bytes:
    """Return an answer's tensor as the protocol's bytes: little-endian, row-major; text behind its length."""
    if output.datatype != "BYTES":
        return np.array(output.values, dtype=DTYPES[output.datatype]).tobytes()
    encoded = [str(value).encode("utf-8", "surrogatepass") for value in output.values]
    return b"".join(chain.from_iterable((_LENGTH.pack(len(text)), text) for text in encoded))


def to_json(output: Output, size: int | None = None) -> dict[str, Any]:
    """Return an answer's tensor for JSON: with its data, or with the ``size`` of the bytes that follow."""
    parameters: dict[str, Any] = dict(output.parameters)
    shown: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
    if size is not None:
        parameters["binary_data_size"] = size
    else:
        shown["data"] = output.values
    return shown | ({"parameters": parameters} if parameters else {})
