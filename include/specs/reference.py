"""Write the reference of every spec field and platform setting from the classes themselves: ``make schema``."""

from __future__ import annotations

import enum
import types
import typing
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from include.specs.base import format_duration
from include.specs.loader import ROOT
from include.specs.model import ModelSpec
from include.specs.platform import Platform

REFERENCE_FILE = ROOT / "docs" / "reference.md"


def reference_text() -> str:
    """Return the Markdown that is kept in ``docs/reference.md``."""
    parts = [
        "# Reference: every field and every setting\n",
        "Made by `make schema` from the classes that read them.\n",
        "## The model spec: `config/models/<name>.yaml`\n",
        *_table(ModelSpec),
        "## The platform: `config/platform.yaml`, or `FACTORY_<SETTING>`\n",
        "A nested setting is reached by two underscores: `FACTORY_KUBERNETES__NAMESPACE`.\n",
        *_table(Platform),
    ]
    return "\n".join(parts) + "\n"


def _table(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return a table of the plain fields, and then a section for each field that is a mapping of its own."""
    rows = ["| field | type | default | what it says |", "| --- | --- | --- | --- |"]
    sections: list[str] = []
    for name, info in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = _models_in(info.annotation)
        if inner:
            for spec in inner:
                heading = f"### `{path}`" + (f" as {_kind(spec)}" if len(inner) > 1 else "")
                many = "[]." if "tuple" in str(info.annotation) else "."
                sections += [f"{heading}\n", f"{(spec.__doc__ or '').strip()}\n", *_table(spec, f"{path}{many}")]
        default = "required" if info.is_required() else f"`{_shown(info)}`"
        text = " ".join((info.description or "").split())
        rows.append(f"| `{path}` | {_type(info.annotation)} | {default} | {text} |")
    return [*rows, "", *sections]


def _kind(spec: type[BaseModel]) -> str:
    kinds = typing.get_args(spec.model_fields["type"].annotation)
    return " or ".join(f"`{kind}`" for kind in kinds)


def _shown(info: FieldInfo) -> str:
    value: Any = info.get_default(call_default_factory=True)
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, SecretStr | Path):
        return str(value) or "empty"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, dict):
        return "{}"
    return "none" if value is None else str(value) or "empty"


def _type(annotation: Any) -> str:
    """Return a type as a reader of YAML would name it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{word}`" for word in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(a) for a in arguments if a is not type(None)))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel | enum.Enum):
        return "mapping"
    plain = {str: "text", int: "whole number", float: "number", bool: "true/false", timedelta: "duration", Any: "any"}
    return plain.get(annotation, "text")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in typing.get_args(annotation):
        found += [model for model in _models_in(argument) if model not in found]
    return found
