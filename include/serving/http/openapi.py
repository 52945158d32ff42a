"""The OpenAPI document: FastAPI's own paths, and the data plane's, with examples of the models that are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from include.serving.errors import ServingError
from include.serving.http.openapi_answers import ANSWERS, error_schema
from include.serving.messages import Batch, Feedback, Instance
from include.serving.models.host import ModelHost
from include.serving.open_inference.protocol import DATATYPES, InferRequest
from include.serving.scoring.tables import Instances, Invocation
from include.store.packages import Manifest

_COMPONENTS = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The body is no JSON, or contradicts itself",
    "401": "There is no key; one is needed",
    "403": "The key is not valid, or may not do this",
    "404": "There is no such model, version, variant or entity here",
    "405": "Another method is needed; Allow names it",
    "408": "The body did not arrive in time",
    "409": "No model is named, and several could be meant",
    "413": "The body is too large, or has too many rows",
    "415": "The body is announced as something that is not read here",
    "422": "The request cannot be read; every problem is listed",
    "429": "The caller asks too much; Retry-After says when to come back",
    "500": "The model failed on this request",
    "503": "Too much waits, or the model is being loaded; Retry-After says when to come back",
    "504": "The model took too long",
}
_OPEN = ("/health", "/metrics", "/ping", "/v2/health")
"""Beginnings of paths that ask for no key and never fail by what is sent."""


@dataclass(frozen=True)
class _Operation:
    """A path of the data plane.

    Attributes:
        body: what is decoded.
        answer: the schema of its answer.
        example: the name of its example.
        versioned: whether it exists below ``/versions/{version}`` too.
    """

    path: str
    name: str
    summary: str
    body: type
    answer: str
    example: str
    versioned: bool = False
    tag: str = "data plane"


_OPERATIONS = (
    _Operation("/v1/models/{model}/predict", "predict", "Predict one row", Instance, "Answer", "predict", True),
    _Operation("/v1/models/{model}/predict/batch", "predict_batch", "Predict rows", Batch, "Answers", "batch", True),
    _Operation("/v1/models/{model}/explain", "explain", "Predict and explain", Instance, "Answer", "explain", True),
    _Operation("/v1/models/{model}/feedback", "feedback", "Tell the truth", Feedback, "Accepted", "feedback"),
    _Operation("/predict", "predict_default", "Predict one row by default", Instance, "Answer", "predict"),
    _Operation("/predict/batch", "batch_default", "Predict rows by default", Batch, "Answers", "batch"),
    _Operation("/explain", "explain_default", "Explain by default", Instance, "Answer", "explain"),
    _Operation(
        "/v2/models/{model}/infer", "infer", "Tensors in, tensors out", InferRequest, "Inference", "infer", True,
        "open inference protocol",
    ),
    _Operation(
        "/invocations", "invocations", "Score a table by the default model", Invocation, "Records", "invocations",
        tag="mlflow",
    ),
    _Operation(
        "/v1/models/{model}:predict", "predict_instances", "Predict", Instances, "Values", "instances", True,
        "kserve v1",
    ),
    _Operation(
        "/v1/models/{model}:explain", "explain_instances", "Explain rows", Instances, "Explained", "instances",
        True, "kserve v1",
    ),
)  # fmt: skip


def with_data_plane(document: dict[str, Any], host: ModelHost) -> dict[str, Any]:
    """Return FastAPI's ``document`` with the paths of the data plane, every error and the ways to show a key."""
    bodies = tuple({operation.body: None for operation in _OPERATIONS})
    schemas, components = msgspec.json.schema_components(bodies, ref_template=_COMPONENTS)
    by_body = dict(zip(bodies, schemas, strict=True))
    examples = _examples(host)
    paths = {path: _with_errors(path, operations) for path, operations in document["paths"].items()}
    for operation in _OPERATIONS:
        paths[operation.path] = _path(operation, by_body[operation.body], examples, versioned=False)
        if operation.versioned:
            path = operation.path.replace("{model}", "{model}/versions/{version}")
            paths[path] = _path(operation, by_body[operation.body], examples, versioned=True)
    known = document.get("components", {})
    known_schemas = {**known.get("schemas", {}), **components, **ANSWERS}
    security = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "a key of this server"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same key"},
    }
    return {
        **document,
        "paths": paths,
        "components": {
            **known,
            "schemas": known_schemas,
            "securitySchemes": {**known.get("securitySchemes", {}), **security},
        },
    }


def _with_errors(path: str, operations: dict[str, Any]) -> dict[str, Any]:
    """Return FastAPI's ``operations`` with the errors that can meet them, in this server's shape."""
    found = {}
    for method, operation in operations.items():
        statuses = [] if path.startswith(_OPEN) else ["401", "403", "404", "503"]
        statuses += ["400", "408", "413", "415", "422"] if "requestBody" in operation else []
        statuses += ["422"] if "422" in operation["responses"] else []
        statuses += ["500"] if operation.get("tags") == ["operation"] else []
        kept = {status: answer for status, answer in operation["responses"].items() if status != "422"}
        security = {} if path.startswith(_OPEN) or "security" in operation else {"security": _OPTIONAL}
        found[method] = {**operation, **security, "responses": {**_errors(path, statuses), **kept}}
    return found


_OPTIONAL: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"key": []}]
"""Predictions are open to everyone until the first key is made."""


def _errors(path: str, statuses: list[str]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _COMPONENTS.format(name=error_schema(path))}}}
    return {status: {"description": _ERRORS[status], "content": content} for status in sorted(set(statuses))}


def _path(operation: _Operation, schema: dict[str, Any], examples: dict[str, Any], versioned: bool) -> dict[str, Any]:
    parameters = []
    if "{model}" in operation.path:
        parameters.append(_parameter("model", "path", examples["model"]))
    if versioned:
        parameters.append(_parameter("version", "path", examples["version"]))
    elif operation.name != "feedback":
        parameters.append(_parameter("X-Factory-Variant", "header", None))
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if operation.example in examples:
        content["application/json"]["example"] = examples[operation.example]
    if operation.body is Invocation:
        content["text/csv"] = {"schema": {"type": "string"}}
        if "csv" in examples:
            content["text/csv"]["example"] = examples["csv"]
    answers: dict[str, Any] = {"application/json": {"schema": {"$ref": _COMPONENTS.format(name=operation.answer)}}}
    if operation.body is InferRequest:
        answers["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    statuses = [status for status in _ERRORS if status != "422" or operation.path != "/invocations"]
    return {
        "post": {
            "summary": operation.summary,
            "operationId": operation.name + ("_version" if versioned else ""),
            "tags": [operation.tag],
            "parameters": parameters,
            "requestBody": {"required": True, "content": content},
            "security": _OPTIONAL,
            "responses": {
                "200": {"description": "The answer", "content": answers},
                **_errors(operation.path, statuses),
            },
        }
    }


def _parameter(name: str, place: str, example: str | None) -> dict[str, Any]:
    parameter = {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
    return parameter | ({"example": example} if example else {})


def _examples(host: ModelHost) -> dict[str, Any]:
    """Return example values that work: those of the default model, or else of the first that is served."""
    if not host.served:
        return {"model": "churn", "version": "1"}
    name = _example_model(host)
    version = host.served[name].variants[0].model
    manifest = version.manifest
    used = [field for field in manifest.features if field.used]
    row = {field.name: field.example for field in used}
    tensors = [
        {"name": field.name, "shape": [1], "datatype": DATATYPES[field.type], "data": [field.example]} for field in used
    ]
    names = [field.name for field in used]
    return {
        "model": name,
        "version": version.version,
        "predict": {"id": "order-1", "features": row},
        "batch": {"instances": [{"features": row}, {"features": row}]},
        "explain": {"features": row},
        "feedback": {"labels": [{"id": "order-1", "label": _label(manifest)}]},
        "infer": {"id": "order-2", "inputs": tensors},
        "invocations": {"dataframe_split": {"columns": names, "data": [list(row.values())]}},
        "csv": ",".join(names) + "\n" + ",".join("" if value is None else str(value) for value in row.values()) + "\n",
        "instances": {"instances": [row]},
    }


def _example_model(host: ModelHost) -> str:
    try:
        name = host.default_model()
    except ServingError:
        name = ""
    return name if name in host.served else min(host.served)


def _label(manifest: Manifest) -> Any:
    return manifest.classes[0] if manifest.classes else 0.0
