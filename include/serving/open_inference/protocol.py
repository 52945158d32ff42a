"""The Open Inference Protocol, version 2: what its requests mean to a model, and how answers become tensors.

A model takes one named tensor a feature, or, when all its features are numbers, a single tensor of shape
(rows, features) in the order of its metadata. How the tensors travel is left to REST (`framing`) and gRPC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Any

import msgspec

from include.serving.errors import ServingError
from include.serving.messages import Instance
from include.serving.open_inference.tensors import Output, Raw, Tensor, values_of
from include.store.packages import Manifest

DATATYPES = {"number": "FP64", "boolean": "BOOL", "string": "BYTES", "datetime": "BYTES"}
LONGEST_ID = 64
_Id = Annotated[str, msgspec.Meta(max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f\x7f]*$")]


class RequestedOutput(msgspec.Struct, omit_defaults=True):
    """An output that the caller wants; ``classification: k`` asks for the k likeliest classes as text."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, omit_defaults=True):
    """The body of ``/infer``."""

    inputs: list[Tensor]
    id: _Id | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class Inference:
    """A request of the protocol, however it travelled.

    Attributes:
        raw: the bytes of each input; None for those that hold their data themselves.
    """

    request: InferRequest
    raw: Sequence[Raw | None]

    @property
    def rows(self) -> int:
        """Rows that the request claims to have; no more is promised of them."""
        return max([1, *(tensor.shape[0] for tensor in self.request.inputs)])

    def parameter(self, name: str) -> Any:
        """Return a parameter of the request, or None."""
        return (self.request.parameters or {}).get(name)


@dataclass
class _Columns:
    """What was read of the inputs so far."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)

    def complain(self, name: str, message: str) -> None:
        self.problems.append({"where": f"inputs.{name[:100]}", "message": message})


def metadata(name: str, versions: Sequence[str], manifest: Manifest, runtime: str = "sklearn") -> dict[str, Any]:
    """Return the model metadata of the protocol."""
    inputs = [{"name": f.name, "datatype": DATATYPES[f.type], "shape": [-1]} for f in manifest.features if f.used]
    outputs = [{"name": "label", "datatype": label_type(manifest), "shape": [-1]}]
    if manifest.classes is not None:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(manifest.classes)]})
    return {
        "name": name,
        "versions": list(versions),
        "platform": f"model_factory_{runtime}",
        "inputs": inputs,
        "outputs": outputs,
    }


def to_instances(inference: Inference, manifest: Manifest, prediction_id: str) -> list[Instance]:
    """Return the rows of the tensors, with ``prediction_id`` for one row and ``<prediction_id>.<n>`` for several.

    Raises:
        ServingError: 422 with every tensor that is wrong.
    """
    request = inference.request
    if not request.inputs:
        raise ServingError(422, "invalid_tensor", "'inputs' is empty; send a tensor for each feature")
    columns = _read(inference, manifest)
    if columns.problems:
        raise ServingError(422, "invalid_tensor", "the tensors cannot be read", columns.problems)
    rows = request.inputs[0].shape[0]
    ids = [prediction_id] if rows == 1 else [f"{prediction_id}.{i}" for i in range(rows)]
    if len(ids[-1]) > LONGEST_ID:
        raise ServingError(422, "invalid_request", "with several rows 'id' gets a number behind it; make it shorter")
    names, time = tuple(columns.values), inference.parameter("event_time")
    if time is not None and not isinstance(time, str):
        raise ServingError(422, "invalid_request", "parameter 'event_time' must be an ISO 8601 text")
    return [
        Instance(features=dict(zip(names, row, strict=True)), id=row_id, event_time=time)
        for row_id, row in zip(ids, zip(*columns.values.values(), strict=True), strict=True)
    ]


def _read(inference: Inference, manifest: Manifest) -> _Columns:
    columns, inputs = _Columns(), inference.request.inputs
    first = inputs[0]
    for tensor, raw in zip(inputs, inference.raw, strict=True):
        if tensor.shape[0] != first.shape[0]:
            columns.complain(tensor.name, f"has {tensor.shape[0]} rows, '{first.name[:100]}' has {first.shape[0]}")
            continue
        try:
            values = values_of(tensor, raw)
        except ValueError as error:
            columns.complain(tensor.name, str(error))
            continue
        if tensor.name in columns.values:
            columns.complain(tensor.name, "is sent twice")
        elif len(inputs) == 1 and (names := _columns_of_matrix(tensor, manifest)):
            columns.values = {name: values[i :: len(names)] for i, name in enumerate(names)}
        elif prod(tensor.shape[1:]) != 1:
            columns.complain(tensor.name, f"has shape {tensor.shape}; send one value a row: [rows] or [rows, 1]")
        else:
            columns.values[tensor.name] = values
    return columns


def _columns_of_matrix(tensor: Tensor, manifest: Manifest) -> list[str]:
    """Return what the columns of a matrix are: all features, or those that the model reads; none of another tensor."""
    for fields in (manifest.features, [one for one in manifest.features if one.used]):
        numeric = all(one.type in ("number", "boolean") for one in fields)
        if numeric and len(tensor.shape) == 2 and tensor.shape[1] == len(fields):
            return [one.name for one in fields]
    return []


# Answers


def check_outputs(inference: Inference, manifest: Manifest) -> None:
    """Refuse outputs that the model does not have, before anything is predicted.

    Raises:
        ServingError: 422, naming them.
    """
    there = [*_standard(manifest), *_columns_of(manifest)]
    problems = []
    for output in inference.request.outputs or ():
        where = f"outputs.{output.name[:100]}"
        if output.name not in there:
            message = f"is no output of this model; use {' or '.join(_standard(manifest))}"
            problems.append({"where": where, "message": message})
        top = (output.parameters or {}).get("classification", 1)
        if not isinstance(top, int) or isinstance(top, bool) or top < 1 or _is_wrong_classification(output):
            message = "'classification' is a number of classes, from 1, and belongs to 'probabilities'"
            problems.append({"where": where, "message": message})
    if problems:
        raise ServingError(422, "invalid_output", "an output cannot be given", problems)


def _is_wrong_classification(output: RequestedOutput) -> bool:
    return "classification" in (output.parameters or {}) and output.name != "probabilities"


def outputs_of(inference: Inference, manifest: Manifest, answers: Sequence[dict[str, Any]]) -> list[Output]:
    """Return ``answers`` as the tensors that were asked for.

    By default these are ``label`` and, for classifiers, ``probabilities`` of shape (rows, classes). A request of
    MLServer's pandas codec (``content_type: pd``) gets a column each instead, ``probability_<class>``, and one of its
    numpy codec (``np``) the label alone, because that is what those codecs can read back.
    """
    if asked := inference.request.outputs:
        outputs = [_output(item.name, manifest, answers, item.parameters or {}) for item in asked]
    else:
        readable = {"pd": ["label", *_columns_of(manifest)], "np": ["label"]}
        names = readable.get(str(inference.parameter("content_type")), _standard(manifest))
        outputs = [_output(name, manifest, answers, {}) for name in names]
    return outputs + (_explained(manifest, answers) if "explanation" in answers[0] else [])


def _explained(manifest: Manifest, answers: Sequence[dict[str, Any]]) -> list[Output]:
    """Return explanations as tensors: contributions of shape (rows, features) or (rows, classes, features)."""
    found = [answer["explanation"] for answer in answers]
    names = [field.name for field in manifest.features]
    text = msgspec.json.encode(names).decode()
    shown: dict[str, str | int | float | bool] = {"features": text, "output": found[0]["output"]}
    if not isinstance(found[0]["base_value"], dict):
        base = [one["base_value"] for one in found]
        parts = [value for one in found for value in one["contributions"].values()]
        shape: list[int] = []
    else:
        base = [value for one in found for value in one["base_value"].values()]
        parts = [value for one in found for part in one["contributions"].values() for value in part.values()]
        shape = [len(manifest.classes or ())]
    rows = len(answers)
    return [
        Output("base_value", "FP64", [rows, *shape], base, {"output": found[0]["output"]}),
        Output("contributions", "FP64", [rows, *shape, len(names)], parts, shown),
    ]


def response_of(inference: Inference, request_id: str, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return all of the response but its tensors."""
    first = answers[0]
    parameters = {"variant": first["variant"]}
    if (codec := inference.parameter("content_type")) in ("pd", "np"):
        parameters["content_type"] = codec
    return {
        "model_name": first["model"],
        "model_version": first["version"],
        "id": request_id,
        "parameters": parameters,
    }


def _standard(manifest: Manifest) -> list[str]:
    return ["label"] + (["probabilities"] if manifest.classes is not None else [])


def _columns_of(manifest: Manifest) -> list[str]:
    """Return the names of the outputs that hold one class each."""
    return [f"probability_{label}" for label in manifest.classes or ()]


def _output(name: str, manifest: Manifest, answers: Sequence[dict[str, Any]], asked: dict[str, Any]) -> Output:
    rows, classes = len(answers), [str(label) for label in manifest.classes or ()]
    if name == "label":
        kind = label_type(manifest)
        labels = [answer["label"] for answer in answers]
        text = {"content_type": "str"} if kind == "BYTES" else {}
        return Output(name, kind, [rows], [str(label) for label in labels] if text else labels, dict(text))
    if name != "probabilities":
        wanted = name.removeprefix("probability_")
        return Output(name, "FP64", [rows], [answer["probabilities"][wanted] for answer in answers])
    if top := asked.get("classification"):
        best = [_likeliest(answer["probabilities"], min(top, len(classes))) for answer in answers]
        return Output(name, "BYTES", [rows, len(best[0])], [text for row in best for text in row])
    values = [p for answer in answers for p in answer["probabilities"].values()]
    shown: dict[str, str | int | float | bool] = {"classes": msgspec.json.encode(classes).decode()}
    return Output(name, "FP64", [rows, len(classes)], values, shown)


def _likeliest(probabilities: dict[str, float], top: int) -> list[str]:
    """Return ``probability:index:class`` of the ``top`` likeliest classes."""
    ranked = sorted(enumerate(probabilities.items()), key=lambda item: -item[1][1])
    return [f"{value:.6f}:{index}:{name}" for index, (name, value) in ranked[:top]]


def label_type(manifest: Manifest) -> str:
    """Return the data type of the labels."""
    if manifest.classes is None:
        return "FP64"
    kinds = {type(label) for label in manifest.classes}
    for kind, name in ((bool, "BOOL"), (int, "INT64"), (str, "BYTES")):
        if kinds == {kind}:
            return name
    return "FP64" if kinds <= {int, float} else "BYTES"
