"""The target column: which rows have one, which classes there are, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.parsing import PARSES, holds_objects, parse
from include.specs.errors import FactoryError, did_you_mean
from include.specs.training import Problem

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 1e100
"""Of a regression's values: beyond it squares are not finite."""
_TRUE_WORDS = ("yes", "y", "true", "on")
_FALSE_WORDS = ("no", "n", "false", "off")


class TargetError(FactoryError):
    """The target column cannot be learnt."""


@dataclass(frozen=True)
class Target:
    """An encoded target.

    Attributes:
        known: which rows of the table have a target, bool, shape (rows,).
        values: the targets of those rows: codes 0 … n-1 into ``classes`` (int64), or the values (float64).
        classes: JSON-ready labels; binary: the positive class is the second. None for regression.
    """

    known: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    classes: tuple[Any, ...] | None


def encode_target(column: pd.Series, problem: Problem) -> Target:
    """Encode the target ``column``; rows without a value are told apart, not guessed.

    Raises:
        TargetError: it has no value, one value only, the wrong number of classes, or is no number in a regression.
    """
    where = f"target '{problem.target}'"
    if column.isna().all():
        raise TargetError(f"{where} has no value in any row; correct problem.target or the data")
    if holds_objects(column):
        raise TargetError(f"{where} holds lists or objects, not single values; make a column of numbers or texts of it")
    return _numbers(column, where) if problem.type == "regression" else _codes(column, problem, where)


def _numbers(column: pd.Series, where: str) -> Target:
    values = parse(column, "number").values
    share = values.notna().sum() / column.notna().sum()
    if share <= PARSES:
        raise TargetError(f"{where} is not numeric ({share:.0%} of its values are numbers); use a classification type")
    known = values.notna().to_numpy()
    numbers = values.to_numpy()[known]
    if np.abs(numbers).max() > _LARGEST or 0 < np.ptp(numbers) < 1 / _LARGEST:
        raise TargetError(f"{where} is too large or too small to compute with ({numbers[0]:g}); use another unit")
    if numbers.min() == numbers.max():
        raise TargetError(f"{where} is constant ({numbers[0]:g} in every row); there is nothing to learn")
    return Target(known, numbers, None)


def _codes(column: pd.Series, problem: Problem, where: str) -> Target:
    import pandas as pd

    known = column.notna().to_numpy()
    labels = column[known].astype(object).map(_plain)
    counts = labels.value_counts()
    classes = _binary(counts, problem, where) if problem.type == "binary" else _several(counts, where)
    codes = labels.map(pd.Series(range(len(classes)), index=pd.Index(classes, dtype=object)))
    return Target(known, codes.to_numpy("int64"), classes)


def _plain(label: Any) -> Any:
    """Return ``label`` as JSON keeps it: bool, int (also for 1.0), float or text."""
    value = label.item() if hasattr(label, "item") else label
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return str(value)


def _binary(counts: pd.Series, problem: Problem, where: str) -> tuple[Any, ...]:
    """Return (negative, positive)."""
    labels = sorted(counts.index.tolist(), key=lambda label: (-counts[label], str(label)))
    if len(labels) == 1:
        raise TargetError(f"{where} has one class only ({labels[0]!r}); a binary problem needs rows of both classes")
    if len(labels) > 2:
        raise TargetError(f"{where} has {len(labels)} classes ({_list(labels)}); set problem.type to multiclass")
    if problem.positive is None:
        return (labels[0], labels[1])  # the commoner, the rarer
    positive = _find(problem.positive, labels)
    if positive is None:
        hint = did_you_mean(str(problem.positive), [str(label) for label in labels])
        raise TargetError(f"{where} has no class {problem.positive!r}, which problem.positive names; {hint}")
    return (labels[0] if labels[1] == positive else labels[1], positive)


def _find(wanted: str | int | bool, labels: Sequence[Any]) -> Any:
    """Return the label that ``wanted`` means; YAML reads a bare Yes or No as true or false."""
    words = _TRUE_WORDS if wanted is True else _FALSE_WORDS if wanted is False else ()
    for label in labels:
        if label == wanted or str(label) == str(wanted) or str(label).lower() in words:
            return label
    return None


def _several(counts: pd.Series, where: str) -> tuple[Any, ...]:
    labels = counts.index.tolist()
    if len(labels) < 3:
        hint = "set problem.type to binary" if len(labels) == 2 else "there is nothing to learn"
        raise TargetError(f"{where} has {len(labels)} class(es) ({_list(labels)}); {hint}")
    if len(labels) > max(100, counts.sum() // 10):
        raise TargetError(f"{where} has {len(labels)} classes in {counts.sum()} rows; is it a number? use regression")
    numeric = all(isinstance(label, int | float) for label in labels)
    return tuple(sorted(labels) if numeric else sorted(labels, key=str))


def _list(labels: Sequence[Any]) -> str:
    return ", ".join(repr(label) for label in labels[:6]) + (", …" if len(labels) > 6 else "")
