"""The trigger form, made of the parameter classes in `include.specs.params`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param
from pydantic import BaseModel

_KEPT = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format", "enum")


def form(params: type[BaseModel], **defaults: Any) -> dict[str, Param]:
    """Return one typed form field for each field of ``params``, with its docstring as help.

    Args:
        params: the parameter class.
        defaults: values that this pipeline or model starts from, instead of the class's own.
    """
    schema = params.model_json_schema()
    return {name: _field(name, field, defaults) for name, field in schema["properties"].items()}


def _field(name: str, field: dict[str, Any], defaults: dict[str, Any]) -> Param:
    """Flatten Pydantic's ``anyOf: [X, null]`` into the ``type: [x, "null"]`` that the form draws an input for."""
    options = field.get("anyOf", [field])
    typed = next(option for option in options if option.get("type") != "null")
    nullable = any(option.get("type") == "null" for option in options)
    rules = {key: typed[key] for key in _KEPT if key in typed}
    if nullable and "enum" in rules:
        rules["enum"] = [*rules["enum"], None]
    return Param(
        defaults.get(name, field.get("default")),
        title=name.replace("_", " ").capitalize(),
        description=" ".join(field.get("description", "").split()),
        type=[typed["type"], "null"] if nullable else typed["type"],
        **rules,
    )
