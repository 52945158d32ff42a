"""Each part of an encoding as code: some columns of a row to some outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from struct import Struct
from typing import Any, Literal, Protocol

import numpy as np

from include.inference.dates import DATE_PARTS, date_parts, date_parts_of, nanoseconds_of
from include.inference.encoding import MISSING, Arithmetic, Category, Date, Numbers, Pair, Squashed
from include.inference.scorer import Row
from include.inference.squashing import squashed, squashed_one

Array = np.ndarray[Any, Any]
Type = Literal["number", "boolean", "string", "datetime"]
LARGEST = float(np.finfo(np.float32).max)
_NOT_A_TIME = np.iinfo(np.int64).min
"""How numpy writes a missing time as a whole number."""


class PartEncoder(Protocol):
    """Some columns of a row to some outputs."""

    width: int

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""


class Scale:
    """What is taken off outputs, and what they are divided by."""

    def __init__(self, part: Numbers | Squashed | Date | Arithmetic) -> None:
        self._pairs = list(zip(part.mean or (), part.deviation or (), strict=True))
        self._mean, self._deviation = np.array(part.mean or 0.0), np.array(part.deviation or 1.0)

    def many(self, values: Array) -> Array:
        """Return float64 ``values``, shape (rows, outputs), scaled."""
        return (values - self._mean) / self._deviation if self._pairs else values

    def one(self, values: Sequence[float]) -> Sequence[float]:
        """Return the outputs of one row scaled."""
        if not self._pairs:
            return values
        return [(value - mean) / deviation for value, (mean, deviation) in zip(values, self._pairs, strict=True)]


class NumbersEncoder:
    """Numbers and booleans."""

    def __init__(self, part: Numbers, places: Sequence[int], whole: bool) -> None:
        self.width = len(places)
        self._pick, self._whole = (tuple if whole else picker(places)), whole
        self._fills = part.fill or (float("nan"),) * self.width
        self._fill = np.array(self._fills)
        self._scale = Scale(part)
        self._pack = Struct(f"@{self.width}f").pack

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        values: Sequence[float] = self._pick(row)
        if not -LARGEST <= sum(values) <= LARGEST:  # of checked numbers, some are missing, or they are very large
            values = [fill if absent(value) else value for value, fill in zip(values, self._fills, strict=True)]
        return self._pack(*self._scale.one(values))

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        values = np.array(rows if self._whole else [self._pick(row) for row in rows], dtype=np.float64)
        values = values.reshape(len(rows), self.width)
        finite = np.isfinite(values)
        out[:] = self._scale.many(values if finite.all() else np.where(finite, values, self._fill))


class SquashedEncoder:
    """Numbers on a curve."""

    def __init__(self, part: Squashed, places: Sequence[int]) -> None:
        self.width = len(places)
        self._pick = picker(places)
        self._learnt = list(zip(part.centre, part.unit, part.fill, strict=True))
        self._centre, self._unit, self._fill = (np.array(side) for side in (part.centre, part.unit, part.fill))
        self._scale = Scale(part)
        self._pack = Struct(f"@{self.width}f").pack

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        values = [
            fill if absent(value) else squashed_one((value - centre) / unit)
            for value, (centre, unit, fill) in zip(self._pick(row), self._learnt, strict=True)
        ]
        return self._pack(*self._scale.one(values))

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        values = np.array([self._pick(row) for row in rows], dtype=np.float64).reshape(len(rows), self.width)
        finite = np.isfinite(values)
        with np.errstate(over="ignore"):
            drawn = squashed((np.where(finite, values, 0.0) - self._centre) / self._unit)
        out[:] = self._scale.many(np.where(finite, drawn, self._fill))


class DateEncoder:
    """The calendar parts of a time."""

    def __init__(self, part: Date, place: int) -> None:
        self.width = len(DATE_PARTS)
        self._place = place
        self._fill = np.array(part.fill)
        self._scale = Scale(part)
        self._pack = Struct(f"@{self.width}f").pack
        self._missing = self._pack(*self._scale.one(part.fill))

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        time = row[self._place]
        return self._missing if time is None else self._pack(*self._scale.one(date_parts_of(time)))

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        times = (row[self._place] for row in rows)
        whole = [_NOT_A_TIME if time is None else nanoseconds_of(time) for time in times]
        parts = date_parts(np.array(whole, dtype=np.int64).view("datetime64[ns]"))
        out[:] = self._scale.many(np.where(np.isnan(parts), self._fill, parts))


class MissingEncoder:
    """Marks of gaps."""

    def __init__(self, places: Sequence[int], times: bool) -> None:
        self._times = times
        self.width = len(places)
        self._pick = picker(places)
        self._pack = Struct(f"@{self.width}f").pack
        self._none = self._pack(*(0.0,) * self.width)

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        values = self._pick(row)
        if None not in values if self._times else -LARGEST <= sum(values) <= LARGEST:
            return self._none
        return self._pack(*map(absent, values))

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        values = [self._pick(row) for row in rows]
        if self._times:
            out[:] = np.array([[time is None for time in times] for times in values]).reshape(out.shape)
        else:
            out[:] = ~np.isfinite(np.array(values, dtype=np.float64).reshape(out.shape))


class CategoryEncoder:
    """A table from level to numbers."""

    def __init__(self, part: Category | Pair, place: int, kind: Type) -> None:
        self.table = np.array(part.table, dtype=np.float32).reshape(len(part.levels) + 1, -1)
        self.width = self.table.shape[1]
        self._place = place
        self._seen = part.longest + 1
        self._text = str if kind in ("string", "datetime") else number_text
        self._unseen = len(part.levels)
        self._codes: dict[str, int] = {}
        for code, level in enumerate(part.levels):
            self._codes.setdefault(level, code)
        self._bytes = [row.tobytes() for row in self.table]
        # of texts, the levels themselves and None are found at once
        self._direct: dict[Any, int] = {**self._codes, None: self._code(None)} if self._text is str else {}

    def packed(self, code: int) -> bytes:
        """Return a row of the table as float32 bytes."""
        return self._bytes[code]

    def one(self, row: Row) -> bytes:
        """Return the outputs of a row as float32 bytes."""
        value = row[self._place]
        code = self._direct.get(value)
        return self._bytes[self._code(value) if code is None else code]

    def fill(self, rows: Sequence[Row], out: Array) -> None:
        """Write the outputs of ``rows`` into ``out``, shape (rows, width)."""
        place, direct = self._place, self._direct.get
        codes = [direct(row[place], -1) for row in rows]
        if -1 in codes:
            codes = [self._code(row[place]) if code < 0 else code for code, row in zip(codes, rows, strict=True)]
        out[:] = self.table[codes]

    def _code(self, value: Any) -> int:
        return self.code_of(MISSING if value is None or value != value else self._text(value))

    def code_of(self, text: str) -> int:
        """Return the row of the table for a level's text."""
        code = self._codes.get(text)
        if code is None:  # training kept levels in arrays, which cut texts and forget NULs at their ends
            code = self._codes.get(text[: self._seen].rstrip("\0"), self._unseen)
        return code


def picker(places: Sequence[int]) -> Callable[[Row], tuple[Any, ...]]:
    """Return what takes the values at ``places`` out of a row, always as a tuple."""
    if len(places) == 1:
        place = places[0]
        return lambda row: (row[place],)
    return itemgetter(*places)


def absent(value: Any) -> bool:
    """Tell whether a checked value is missing, or, for a number, infinite."""
    return value is None or value != value or value in (np.inf, -np.inf)


def number_text(value: float) -> str:
    """Return a number that is used as a category as text."""
    return f"{value + 0.0:.15g}"  # -0 is 0
