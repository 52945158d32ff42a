"""Checked rows to a float32 matrix by numpy alone: what a feature plan does in training, made lean for serving.

The outputs are bit for bit those of `include.features.plan.FeaturePlan.transform`. A single row takes a way of its own:
each part packs its outputs as bytes, which costs a fraction of what numpy's smallest operations cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from include.inference.encoding import (
    Arithmetic,
    Category,
    Date,
    Encoding,
    Missing,
    Numbers,
    Pair,
    Part,
    Squashed,
    Text,
)
from include.inference.made_encoders import ArithmeticEncoder, PairEncoder, TextEncoder
from include.inference.part_encoders import (
    CategoryEncoder,
    DateEncoder,
    MissingEncoder,
    NumbersEncoder,
    PartEncoder,
    SquashedEncoder,
)
from include.inference.scorer import Row
from include.store.packages import Field

Array = np.ndarray[Any, Any]
FEW = 6
"""Rows up to which packing each of them takes less than numpy takes for all together."""


class Encoder:
    """Rows in the manifest's order to a matrix. Nothing in it changes: threads may share it.

    Args:
        encoding: the document.
        columns: the manifest's columns.
    """

    def __init__(self, encoding: Encoding, columns: Sequence[Field]) -> None:
        self._parts = [_encoder(part, list(encoding.inputs), columns) for part in encoding.parts]
        self._ones = [part.one for part in self._parts]
        self.outputs = sum(part.width for part in self._parts)
        self._shape = (1, self.outputs)

    @classmethod
    def load(cls, folder: Path, columns: Sequence[Field]) -> Encoder:
        """Return the encoder of the package in ``folder``.

        Raises:
            FactoryError: its document is missing, damaged, or of other columns.
        """
        return cls(Encoding.load(folder, columns), columns)

    def pack(self, row: Row) -> bytes:
        """Return the outputs of one row as float32 bytes, in the machine's own order."""
        return b"".join([one(row) for one in self._ones])

    def encode_one(self, row: Row) -> Array:
        """Return one row as a read-only float32 matrix, shape (1, outputs)."""
        return np.ndarray(self._shape, np.float32, self.pack(row))

    def encode(self, rows: Sequence[Row]) -> Array:
        """Return ``rows`` as a float32 matrix, shape (rows, outputs)."""
        if len(rows) <= FEW:
            packed = b"".join(map(self.pack, rows))
            return np.frombuffer(packed, np.float32).reshape(len(rows), self.outputs)
        matrix = np.empty((len(rows), self.outputs), dtype=np.float32)
        start = 0
        for part in self._parts:
            part.fill(rows, matrix[:, start : start + part.width])
            start += part.width
        return matrix


def _encoder(part: Part, inputs: list[str], columns: Sequence[Field]) -> PartEncoder:
    place = {name: index for index, name in enumerate(inputs)}
    if isinstance(part, Numbers | Squashed | Missing):
        return _numbers_encoder(part, [place[name] for name in part.columns], columns)
    if isinstance(part, Arithmetic):
        return ArithmeticEncoder(part, [(place[left], place[right]) for _, left, right in part.items])
    if isinstance(part, Pair):
        left, right = place[part.left], place[part.right]
        return PairEncoder(part, (left, right), (columns[left].type, columns[right].type))
    return _column_encoder(part, place[part.column], columns)


def _numbers_encoder(part: Numbers | Squashed | Missing, places: list[int], columns: Sequence[Field]) -> PartEncoder:
    if isinstance(part, Missing):
        return MissingEncoder(places, times=columns[places[0]].type == "datetime")
    if isinstance(part, Squashed):
        return SquashedEncoder(part, places)
    return NumbersEncoder(part, places, whole=places == list(range(len(columns))))


def _column_encoder(part: Date | Category | Text, place: int, columns: Sequence[Field]) -> PartEncoder:
    if isinstance(part, Text):
        return TextEncoder(part, place)
    return DateEncoder(part, place) if isinstance(part, Date) else CategoryEncoder(part, place, columns[place].type)
