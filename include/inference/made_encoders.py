"""Parts of an encoding that are made of words, or of two columns."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import numpy as np

from include.inference.arithmetic import NO_SHIFT, PAIR_SIGN, SIDE, combined_one
from include.inference.encoding import MISSING, Arithmetic, Pair, Text
from include.inference.part_encoders import Array, CategoryEncoder, Scale, Type, number_text
from include.inference.scorer import Row
from include.inference.squashing import squashed_one
from include.inference.texts import TextVectors


class TextEncoder:
    """A column of free text."""

    def __init__(self, part: Text, place: int) -> None:
        self._vectors = TextVectors(part.terms, part.idf, np.array(part.matrix), np.array(part.offset), part.per_word)
        self.width = self._vectors.width
        self._place = place

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        return self._vectors.of(row[self._place]).astype(np.float32).tobytes()

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        for index, row in enumerate(rows):
            out[index] = self._vectors.of(row[self._place])


class ArithmeticEncoder:
    """Numbers made of two columns each."""

    def __init__(self, part: Arithmetic, places: Sequence[tuple[int, int]]) -> None:
        self.width = len(part.items)
        curves = zip(part.centre, part.unit, strict=True) if part.centre and part.unit else [None] * self.width
        shifts = part.shift or [NO_SHIFT] * self.width
        self._items = [
            (operation, left, right, shift, fill, curve)
            for (operation, _, _), (left, right), shift, fill, curve in zip(
                part.items, places, shifts, part.fill, curves, strict=True
            )
        ]
        self._scale = Scale(part)
        self._pack = Struct(f"@{self.width}f").pack

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        values = []
        for operation, left, right, shift, fill, curve in self._items:
            value = combined_one(operation, row[left], row[right], shift)
            if value != value:
                value = fill
            elif curve is not None:
                value = squashed_one((value - curve[0]) / curve[1])
            values.append(value)
        return self._pack(*self._scale.one(values))

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        packed = b"".join([self.one(row) for row in rows])
        out[:] = np.frombuffer(packed, np.float32).reshape(len(rows), self.width)


class PairEncoder:
    """Two columns used as one category."""

    def __init__(self, part: Pair, places: tuple[int, int], kinds: tuple[Type, Type]) -> None:
        self._category = CategoryEncoder(part, places[0], "string")
        self.width = self._category.width
        self._sides = [
            (place, str if kind in ("string", "datetime") else number_text)
            for place, kind in zip(places, kinds, strict=True)
        ]

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        return self._category.packed(self._category.code_of(self._text(row)))

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        out[:] = self._category.table[[self._category.code_of(self._text(row)) for row in rows]]

    def _text(self, row: Row) -> str:
        sides = []
        for place, text in self._sides:
            value: Any = row[place]
            known = value is not None and value == value
            sides.append(text(value)[:SIDE].rstrip("\0") if known else MISSING)
        return PAIR_SIGN.join(sides)
