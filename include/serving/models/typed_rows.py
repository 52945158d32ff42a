"""Reads a row straight from its JSON text into the types of one model: no dictionary, no check after another.

What it accepts, `include.serving.models.rows.RowReader` accepts too, and reads as the same row. What it refuses may
still be right (a boolean sent as 1), so the caller asks `RowReader` then, which also explains what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Annotated, Any

import msgspec

from include.inference.scorer import Row
from include.serving.models.rows import CHECKS, LARGEST, NAN, RowReader

_TYPES: dict[str, Any] = {
    "number": Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)],
    "boolean": bool,
    "string": str,
    "datetime": str,
}


class TypedReader:
    """Reads rows of one model version.

    Args:
        reader: the reader whose rows these are.
        known: columns that need no complaint although this version does not use them.
    """

    def __init__(self, reader: RowReader, known: Set[str]) -> None:
        others = sorted((known | reader.known) - set(reader.names))
        fields: list[Any] = [
            (f"f{index}", Any, None)
            if name in reader.unused
            else (f"f{index}", _TYPES[kind] if name in reader.required else _TYPES[kind] | None)
            for index, (name, kind) in enumerate(zip(reader.names, reader.types, strict=True))
        ]
        fields += [(f"x{index}", Any, None) for index in range(len(others))]
        names = dict(zip([field[0] for field in fields], (*reader.names, *others), strict=True))
        row = msgspec.defstruct("Features", fields, rename=names, forbid_unknown_fields=True, kw_only=True)
        self._decode = msgspec.json.Decoder(row).decode
        self._astuple = msgspec.structs.astuple
        self._width = len(reader.names)
        self._exact = not others
        self._numbers = tuple(kind in ("number", "boolean") for kind in reader.types)
        self._converted: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(
            (index, check)
            for index, (kind, check) in enumerate(zip(reader.types, reader.checks, strict=True))
            if kind in ("boolean", "datetime") or check not in CHECKS.values()
        )

    def read(self, features: msgspec.Raw) -> Row:
        """Return the row in ``features``.

        Raises:
            ValueError: it cannot be read this way.
        """
        row: Row = self._astuple(self._decode(features))
        if not self._exact:
            row = row[: self._width]
        if self._converted or None in row:
            values = [
                NAN if value is None and number else value for value, number in zip(row, self._numbers, strict=True)
            ]
            for index, convert in self._converted:
                if values[index] is not NAN:
                    values[index] = convert(values[index])
            return tuple(values)
        return row
