"""``tensors.json``: how rows become the tensors of a model made elsewhere, and which output holds the scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from include.inference.links import Link
from include.inference.scorer import Row
from include.specs.errors import FactoryError
from include.store.packages import Field

if TYPE_CHECKING:
    from include.inference.scorer import Array

TENSORS_FILE = "tensors.json"
Dtype = Literal["float32", "float64", "int64", "int32", "bool", "string"]


class UnreadableValueError(FactoryError, ValueError):
    """A value that the tensor's type cannot hold, such as a missing one among whole numbers."""


class Tensor(BaseModel):
    """One input of a model, shape (rows, features), or (rows,) where it is flat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dtype: Dtype = "float32"
    features: tuple[str, ...]
    flat: bool = False


class Tensors(BaseModel):
    """The inputs and the output of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[Tensor, ...]
    """In the order in which a model that knows no names takes them."""
    output: str = ""
    """Name of the output that holds the scores; the only one when empty."""
    link: Link = "none"

    def save(self, folder: Path) -> None:
        """Write it into the package in ``folder``."""
        (folder / TENSORS_FILE).write_text(self.model_dump_json(indent=1, exclude_defaults=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Tensors:
        """Return the tensors of the package in ``folder``.

        Raises:
            FactoryError: the file is missing or damaged.
        """
        file = folder / TENSORS_FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise FactoryError(f"{file}: cannot be read ({error}); adopt the model again") from error


class TensorEncoder:
    """Rows in the manifest's order to arrays. Holds no state that changes: threads may share it."""

    def __init__(self, tensors: Tensors, columns: Sequence[Field]) -> None:
        place = {column.name: index for index, column in enumerate(columns)}
        self.names = tuple(tensor.name for tensor in tensors.inputs)
        self._tensors = [
            (tensor, _picker([place[name] for name in tensor.features], len(columns))) for tensor in tensors.inputs
        ]

    def encode(self, rows: Sequence[Row]) -> list[Array]:
        """Return one array an input, in order.

        Raises:
            UnreadableValueError: a tensor's type cannot hold a value.
        """
        return [_array(tensor, rows if pick is None else list(map(pick, rows))) for tensor, pick in self._tensors]


def _picker(places: list[int], columns: int) -> Callable[[Row], Row] | None:
    """Return what takes ``places`` out of a row; None when that is the whole row."""
    if places == list(range(columns)):
        return None
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)


def _array(tensor: Tensor, rows: Sequence[Row]) -> Array:
    import numpy as np

    shape = (len(rows),) if tensor.flat else (len(rows), len(tensor.features))
    if tensor.dtype == "string":
        return np.array([["" if value is None else value for value in row] for row in rows], dtype=object).reshape(
            shape
        )
    if tensor.dtype in ("float32", "float64"):
        return np.array(rows, dtype=tensor.dtype).reshape(shape)
    values = np.array(rows, dtype=np.float64).reshape(shape)
    kept = values.astype(tensor.dtype) if np.isfinite(values).all() else None
    if kept is None or (kept != values).any():
        raise UnreadableValueError(f"input '{tensor.name}' takes {tensor.dtype} alone: send a value that it can hold")
    return kept


def whole_matrix(columns: Sequence[Field], **more: Any) -> Tensors:
    """Return the usual inputs: all columns as one float32 matrix, in the manifest's order."""
    return Tensors(inputs=(Tensor(name="input", features=tuple(column.name for column in columns)),), **more)
