"""From a caller's JSON to a checked row in the manifest's order, or every reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime
from functools import partial
from typing import Any

from include.inference.scorer import Row
from include.specs import nearest
from include.store.packages import Field
from include.store.times import FIRST, LAST, Writing, time_of

LARGEST = 3.4028234663852886e38
"""Largest float32: estimators compute in float32, where anything larger becomes infinite."""
NAN = float("nan")


class RowError(ValueError):
    """A row that a model cannot read; ``problems`` holds every (feature, message)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def _number(value: Any) -> float:
    kind = value.__class__
    if kind is float or kind is int:
        if -LARGEST <= value <= LARGEST:
            return float(value)
        raise ValueError("is too large for a number")
    if value is None:
        return NAN
    raise ValueError(f"must be a number or null, not {_kind(value)}")


def _boolean(value: Any) -> float:
    if value is True or value is False or value in (0, 1):
        return float(value)
    if value is None:
        return NAN
    raise ValueError(f"must be true, false or null, not {_kind(value)}")


def _string(value: Any) -> str | None:
    if value is None or value.__class__ is str:
        return value
    raise ValueError(f"must be a string or null, not {_kind(value)}")


def _datetime(value: Any) -> datetime | None:
    if value is None:
        return None
    if value.__class__ is not str:
        raise ValueError(f"must be an ISO 8601 time or null, not {_kind(value)}")
    try:
        time = datetime.fromisoformat(value)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("is not an ISO 8601 time such as 2025-03-01T12:00:00Z") from error
    if not FIRST <= time < LAST:
        raise ValueError("lies outside the years 1678 to 2261")
    return time


def _written(value: Any, writing: Writing) -> datetime | None:
    """Return a time as training read it; what training would not have read is missing."""
    if value is None or value.__class__ is str or (writing == "digits" and value.__class__ in (int, float)):
        return time_of(value, writing)
    raise ValueError(f"must be a time as text or null, not {_kind(value)}")


def _kind(value: Any) -> str:
    """Return the JSON name of a value's type; never the value itself, which may be personal."""
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(value.__class__, "null")


CHECKS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "datetime": _datetime,
}


def _check(field: Field) -> Callable[[Any], Any]:
    """Return what reads a value of ``field``."""
    if not field.used:
        missing = CHECKS[field.type](None)
        return lambda value: missing
    read: Callable[[Any], Any] = CHECKS[field.type]
    if field.writing is not None:
        read = partial(_written, writing=field.writing)
    if not (field.required or field.whole):
        return read

    def strict(value: Any) -> Any:
        if field.required and value is None:
            raise ValueError("must not be null: this model has no answer to a missing value")
        found = read(value)
        if field.whole and found % 1 > 0:
            raise ValueError("must be a whole number: this model takes no fractions")
        return found

    return strict


class RowReader:
    """Reads rows for one model version: its columns, their order and their types."""

    def __init__(self, fields: Sequence[Field], ignored: Sequence[str] = ()) -> None:
        self.names = tuple(field.name for field in fields)
        self.known: frozenset[str] = frozenset(self.names) | frozenset(ignored)
        self.required = frozenset(field.name for field in fields if field.required)
        self.unused = frozenset(field.name for field in fields if not field.used)
        self._nothing = dict.fromkeys(self.unused)
        self.types = tuple(field.type for field in fields)
        self.checks = tuple(_check(field) for field in fields)
        self._checks = tuple(zip(self.names, self.checks, strict=True))

    def read(self, features: Mapping[str, Any], known: Set[str]) -> Row:
        """Return ``features`` checked and in order.

        Args:
            features: as the caller sent them.
            known: columns that need no complaint although this version does not use them.

        Raises:
            RowError: with every missing, unknown and wrongly typed feature.
        """
        if self._nothing:
            features = {**self._nothing, **features}
        try:
            row = tuple([check(features[name]) for name, check in self._checks])
        except (KeyError, ValueError) as error:
            raise self._explain(features, known) from error
        if len(features) != len(row) and not (features.keys() <= known or features.keys() <= self.known):
            raise self._explain(features, known)
        return row

    def _absent(self, name: str) -> str:
        return "is missing" if name in self.required else "is missing; send null when its value is not known"

    def _explain(self, features: Mapping[str, Any], known: Set[str]) -> RowError:
        problems = []
        for name, check in self._checks:
            if name not in features:
                problems.append((name, self._absent(name)))
                continue
            try:
                check(features[name])
            except ValueError as error:
                problems.append((name, str(error)))
        missing = [name for name in self.names if name not in features]
        for name in features.keys() - known - self.known:
            close = nearest(name, missing) or nearest(name, self.names)
            problems.append((name[:100], "is unknown" + (f"; did you mean '{close}'?" if close else "")))
        return RowError(problems)
