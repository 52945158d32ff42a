"""The schemas of what the data plane answers."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_BY_NAME: dict[str, Any] = {"type": "object", "additionalProperties": _NUMBER}
_LABEL: dict[str, Any] = {"type": ["string", "number", "boolean"]}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_EXPLANATION = _object(
    {
        "output": {"enum": ["logit", "probability", "value", "margin"]},
        "base_value": {"anyOf": [_NUMBER, _BY_NAME]},
        "contributions": {"type": "object", "additionalProperties": {"anyOf": [_NUMBER, _BY_NAME]}},
    },
    {"class": _LABEL},
)
_ANSWER = _object(
    {"id": _TEXT, "model": _TEXT, "version": _TEXT, "variant": _TEXT, "label": _LABEL},
    {"probabilities": _BY_NAME, "explanation": _reference("Explanation")},
)
_RECORD: dict[str, Any] = {
    "type": "object",
    "required": ["label"],
    "properties": {"label": _LABEL, "explanation": _reference("Explanation")},
    "additionalProperties": _NUMBER,
}
_OUTPUT = _object(
    {"name": _TEXT, "datatype": _TEXT, "shape": _list({"type": "integer"})},
    {"data": _list(_LABEL), "parameters": {"type": "object"}},
)
_INFERENCE = _object(
    {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": _list(_OUTPUT)},
    {"parameters": {"type": "object"}},
)
_PROBLEM = _object({"where": _TEXT, "message": _TEXT})
_ERROR = _object({"code": _TEXT, "message": _TEXT, "details": _list(_PROBLEM)})

ANSWERS: dict[str, Any] = {
    "Explanation": _EXPLANATION,
    "Answer": _ANSWER,
    "Answers": _object({"predictions": _list(_reference("Answer"))}),
    "Accepted": _object({"accepted": {"type": "integer"}}),
    "Inference": _INFERENCE,
    "Record": _RECORD,
    "Records": _object({"predictions": _list(_reference("Record"))}),
    "Values": _object({"predictions": _list({"anyOf": [_NUMBER, _reference("Record")]})}),
    "Explained": _object({"explanations": _list(_reference("Record"))}),
    "Error": _object({"error": _ERROR}),
    "ProtocolError": _object({"error": _TEXT}),
    "InvocationError": _object({"error_code": _TEXT, "message": _TEXT}),
}


def error_schema(path: str) -> str:
    """Return the name of the schema of the errors of ``path``; see `include.serving.errors.refusal`."""
    if path.startswith("/v2") or path.endswith((":predict", ":explain")):
        return "ProtocolError"
    return "InvocationError" if path == "/invocations" else "Error"
