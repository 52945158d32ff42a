"""``encoder.json``: how a row becomes the numbers that a model takes, written down without code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.inference.arithmetic import Operation
from include.specs.errors import FactoryError
from include.store.packages import Field as Column

ENCODER_FILE = "encoder.json"
Sources = tuple[tuple[str, ...], ...]
"""For each output the columns that it is made of: one, or two."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Numbers(_Part):
    """Columns of numbers or booleans, one output each."""

    kind: Literal["numbers"] = "numbers"
    columns: tuple[str, ...]
    fill: tuple[float, ...] | None = None
    """What takes the place of a missing or infinite value; without it missing values stay NaN."""
    mean: tuple[float, ...] | None = None
    """Taken off each output before it is divided by its deviation; without it nothing is scaled."""
    deviation: tuple[float, ...] | None = None

    def sources(self) -> Sources:
        """Return the column that each output comes from."""
        return tuple((name,) for name in self.columns)


class Squashed(_Part):
    """Columns of numbers that may have far outliers, one output each.

    `include.inference.squashing.squashed` of the value, less its centre and divided by its unit; then scaled.
    """

    kind: Literal["squashed"] = "squashed"
    columns: tuple[str, ...]
    centre: tuple[float, ...]
    unit: tuple[float, ...]
    fill: tuple[float, ...]
    """What takes the place of a missing or infinite value, squashed already."""
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def sources(self) -> Sources:
        """Return the column that each output comes from."""
        return tuple((name,) for name in self.columns)


class Date(_Part):
    """A column of times, as `include.inference.dates.DATE_PARTS`."""

    kind: Literal["date"] = "date"
    column: str
    fill: tuple[float, ...]
    """One value a calendar part."""
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def sources(self) -> Sources:
        """Return the column that each output comes from."""
        return ((self.column,),) * len(self.fill)


class Missing(_Part):
    """One output a column: 1 where it has no value, else 0."""

    kind: Literal["missing"] = "missing"
    columns: tuple[str, ...]

    def sources(self) -> Sources:
        """Return the column that each output comes from."""
        return tuple((name,) for name in self.columns)


class Category(_Part):
    """A column used as a category: a table from level to numbers, scaled already."""

    kind: Literal["category"] = "category"
    column: str
    levels: tuple[str, ...]
    """The known levels as text; a missing value is `MISSING`."""
    longest: int
    """Characters of the longest level; of a value one more counts, and NULs at the end of those do not."""
    table: tuple[tuple[float, ...], ...]
    """One row a level, and a last one for every other value."""

    def sources(self) -> Sources:
        """Return the column that each output comes from."""
        return ((self.column,),) * len(self.table[0])


class Text(_Part):
    """A column of free text: what `include.inference.texts.TextVectors` makes of it, scaled already."""

    kind: Literal["text"] = "text"
    column: str
    terms: tuple[str, ...]
    idf: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    """One row a term, one column an output but the first."""
    offset: tuple[float, ...]
    """One value an output; the first output is the number of words."""
    per_word: float

    def sources(self) -> Sources:
        """Return the column that each output comes from."""
        return ((self.column,),) * len(self.offset)


class Arithmetic(_Part):
    """Numbers made of two columns each (`include.inference.arithmetic.combined`), one output each."""

    kind: Literal["arithmetic"] = "arithmetic"
    items: tuple[tuple[Operation, str, str], ...]
    """Operation, left and right column."""
    centre: tuple[float, ...] | None = None
    """With ``unit``: squashed as `Squashed` is; fill and scale are then of what is squashed."""
    unit: tuple[float, ...] | None = None
    shift: tuple[tuple[float, float], ...] | None = None
    """Of products: what is taken off the left and the right factor first; without it nothing is."""
    fill: tuple[float, ...]
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def sources(self) -> Sources:
        """Return the two columns that each output comes from."""
        return tuple((left, right) for _, left, right in self.items)


class Pair(_Part):
    """Two columns used as one category, whose levels are written as `include.inference.arithmetic` says."""

    kind: Literal["pair"] = "pair"
    left: str
    right: str
    levels: tuple[str, ...]
    longest: int
    table: tuple[tuple[float, ...], ...]

    def sources(self) -> Sources:
        """Return the two columns that each output comes from."""
        return ((self.left, self.right),) * len(self.table[0])


Part = Annotated[Numbers | Squashed | Date | Missing | Category | Text | Arithmetic | Pair, Field(discriminator="kind")]
MISSING = "(missing)"


class Encoding(_Part):
    """The whole way from a row to float32 outputs, which lie in the order of the parts."""

    version: Literal[1] = 1
    inputs: tuple[str, ...]
    """The manifest's columns, in order."""
    parts: tuple[Part, ...]

    def save(self, folder: Path) -> None:
        """Write it into the package in ``folder``."""
        (folder / ENCODER_FILE).write_text(self.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, columns: Sequence[Column]) -> Encoding:
        """Return the encoding of the package in ``folder``, whose manifest has ``columns``.

        Raises:
            FactoryError: it is missing, damaged, of another version, or of other columns.
        """
        file = folder / ENCODER_FILE
        try:
            found = cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise FactoryError(f"{file}: cannot be read ({error}); train and register the model again") from error
        if found.inputs != tuple(column.name for column in columns):
            raise FactoryError(f"{file}: was written for other columns than the manifest has; register the model again")
        return found


@runtime_checkable
class Encodable(Protocol):
    """A fitted transformer that can be written down; `include.features.plan.FeaturePlan` is one."""

    def encoding(self, inputs: Sequence[str]) -> Encoding:
        """Return the way from columns called ``inputs`` to what ``transform`` gives."""


def identity(columns: Sequence[Column]) -> Encoding | None:
    """Return the encoding that leaves numbers as they are; None where some column is no number."""
    if any(column.type not in ("number", "boolean") for column in columns):
        return None
    names = tuple(column.name for column in columns)
    return Encoding(inputs=names, parts=(Numbers(columns=names),))
