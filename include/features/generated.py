"""Generated features: what is made of two columns, with a name that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.features.categories import CategoryBlock, texts_of
from include.features.numbers import NumberBlock, SquashedBlock
from include.inference.arithmetic import NO_SHIFT, PAIR_SIGN, SIDE, SIGNS, Operation, Shift, combined
from include.inference.encoding import Arithmetic, Pair, Part
from include.specs.training import Task

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

Kind = Literal["ratio", "difference", "product", "days", "pair"]
Description = tuple[Kind, str, str]
"""Operation, left and right column: what a feature plan keeps."""


@dataclass(frozen=True)
class Generated:
    """A feature made of two columns; ``dataclasses.asdict`` of it is JSON-ready.

    Attributes:
        kind: ratio, difference or product of numbers, days between times, or pair of categories.
        left: a column.
        right: another one, or for a square the same.
    """

    kind: Kind
    left: str
    right: str

    @property
    def name(self) -> str:
        """Return ``income / debt``, ``age × fee``, ``fee²``, ``days from signup to cancel`` or ``shop & plan``."""
        return name_of((self.kind, self.left, self.right))

    @property
    def description(self) -> Description:
        """Return it as a feature plan keeps it."""
        return (self.kind, self.left, self.right)


def name_of(description: Description) -> str:
    """Return the readable name of a generated feature."""
    kind, left, right = description
    if kind == "days":
        return f"days from {right} to {left}"
    if kind == "product" and left == right:
        return f"{left}²"
    return f"{left}{PAIR_SIGN}{right}" if kind == "pair" else f"{left} {SIGNS[kind]} {right}"


class ArithmeticBlock(NumberBlock):
    """Numbers made of two columns; gaps are filled, and not marked, as those of the columns are.

    Args:
        items: descriptions of arithmetic.
        scale: as in `Block`.
    """

    marks = False

    def __init__(self, items: Sequence[Description] = (), scale: bool = False) -> None:
        super().__init__(tuple(map(name_of, items)), scale=scale)
        self.items = tuple(items)

    def _table(self, places: range, rows: pd.DataFrame) -> Array:
        return np.stack([made_of(self.items[place], rows) for place in places])

    def parts(self) -> list[Part]:
        """Return the one part."""
        return [Arithmetic(items=self.items, **self._learnt(0, len(self.fill_)))]


class SquashedArithmeticBlock(SquashedBlock):
    """Numbers made of two columns, for models that need one scale.

    The factors of a product are taken off their medians first: far from zero a product, and more so a square, would
    mostly repeat its columns.

    Args:
        items: descriptions of arithmetic.
        scale: as in `Block`.
    """

    marks = False

    def __init__(self, items: Sequence[Description] = (), scale: bool = True) -> None:
        super().__init__(tuple(map(name_of, items)), scale=scale)
        self.items = tuple(items)

    def fit(self, rows: pd.DataFrame, y: Array | None) -> SquashedArithmeticBlock:
        """Learn what is taken off the factors of products, and all that a `SquashedBlock` learns."""
        self.shift_ = tuple(shift_of(item, rows) for item in self.items)
        super().fit(rows, y)
        return self

    def _plain(self, places: range, rows: pd.DataFrame) -> Array:
        shifts = getattr(self, "shift_", None) or [NO_SHIFT] * len(self.items)  # earlier packages have none
        return np.stack([made_of(self.items[place], rows, shifts[place]) for place in places])

    def parts(self) -> list[Part]:
        """Return the one part."""
        learnt = self._learnt(0, len(self.fill_)) | self._curve()
        return [Arithmetic(items=self.items, shift=getattr(self, "shift_", None), **learnt)]


class PairBlock(CategoryBlock):
    """Pairs of categories, encoded as a category is.

    Args:
        items: descriptions of pairs.
        max_onehot: as in `CategoryBlock`.
        task: as in `CategoryBlock`.
        scale: as in `Block`.
    """

    def __init__(
        self, items: Sequence[Description] = (), max_onehot: int = 20, task: Task = "binary", scale: bool = False
    ) -> None:
        super().__init__(tuple(map(name_of, items)), max_onehot, task, scale)
        self.items = tuple(items)

    def _values(self, column: str, rows: pd.DataFrame) -> Array:
        _, left, right = self.items[self.columns.index(column)]
        return pairs_of(rows[left].to_numpy(), rows[right].to_numpy())

    def parts(self) -> list[Part]:
        """Return one part a pair."""
        tables = zip(self.items, self.tables(), strict=True)
        return [
            Pair(left=left, right=right, levels=part.levels, longest=part.longest, table=part.table)
            for (_, left, right), part in tables
        ]


def shift_of(description: Description, rows: pd.DataFrame) -> Shift:
    """Return what is taken off the factors of a product: their medians; nothing of other features."""
    kind, *columns = description
    if kind != "product":
        return NO_SHIFT
    left, right = (_median(rows[name].to_numpy(np.float64)) for name in columns)
    return left, right


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def made_of(description: Description, rows: pd.DataFrame, shift: Shift = NO_SHIFT) -> Array:
    """Return an arithmetic feature of ``rows``, float64 with gaps as NaN; ``shift`` is taken off its factors."""
    kind, left, right = description
    dtype = "datetime64[ns]" if kind == "days" else np.float64
    return combined(_operation(kind), rows[left].to_numpy(dtype), rows[right].to_numpy(dtype), shift)


def pairs_of(left: Array, right: Array) -> Array:
    """Return the pairs of two columns as text, each distinct pair made once."""
    (left_codes, left_texts), (right_codes, right_texts) = texts_of(left, SIDE), texts_of(right, SIDE)
    both, places = np.unique(left_codes * len(right_texts) + right_codes, return_inverse=True)
    made = [f"{left_texts[code // len(right_texts)]}{PAIR_SIGN}{right_texts[code % len(right_texts)]}" for code in both]
    return np.array(made, dtype=object)[places]


def _operation(kind: Kind) -> Operation:
    if kind == "pair":
        raise ValueError("a pair of categories is no arithmetic")
    return kind
