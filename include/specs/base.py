"""What every spec shares: strictness, durations, and the pattern of a name."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints, WithJsonSchema

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*$")


class Spec(BaseModel):
    """Base of every spec object: unknown fields are refused, and a spec never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def parse_duration(value: Any) -> Any:
    """Turn ``"90s"``, ``"15m"``, ``"2h"``, ``"7d"`` or ``"4w"`` into a timedelta; leave timedeltas alone.

    Raises:
        ValueError: for anything else, naming the accepted form.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"'{value}' is not a duration: write a number and a unit (s, m, h, d, w), such as 90s or 7d")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def format_duration(value: timedelta) -> str:
    """Return the shortest form that `parse_duration` reads back to the same value."""
    seconds = value.total_seconds()
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[smhdw]\s*$", "examples": ["90s", "7d"]}),
]
"""A span of time, written as a number and a unit: s, m, h, d or w."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A model's name: lower-case letters, digits and underscores; it becomes part of DAG ids, paths and URLs."""
