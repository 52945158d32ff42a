"""Say where in a spec something is wrong, in the words of `include.specs.errors`."""

from __future__ import annotations

from collections.abc import Iterable

from include.specs import ModelSpec, Problem, SpecError, did_you_mean
from include.specs.loader import models_dir, shown


def where(spec: ModelSpec, field: str) -> str:
    """Return file and field for a message, such as ``config/models/churn.yaml: data.time``."""
    return f"{shown(models_dir() / f'{spec.name}.yaml')}: {field}"


def error(spec: ModelSpec, field: str, message: str, fix: str) -> SpecError:
    """Return the error for one thing that is wrong with ``field`` of ``spec``."""
    return SpecError([Problem(where(spec, field), message, fix)])


def missing_column(spec: ModelSpec, field: str, column: str, known: Iterable[str]) -> Problem:
    """Return the problem of a column that the data does not have, with the nearest one that it has."""
    return Problem(where(spec, field), f"the data has no column '{column}'", did_you_mean(column, known))
