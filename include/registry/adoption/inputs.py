"""The inputs of a model against the features that an operator named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.inference.tensors import Dtype, Tensor, Tensors
from include.registry.adoption.document import Adoption
from include.specs.errors import FactoryError
from include.store.packages import Field

WHOLE = ("int64", "int32")


@dataclass(frozen=True)
class Taken:
    """A model's files in a package.

    Attributes:
        runtime: what serves them.
        fields: the features, in the model's own order.
        form: what the model came as, for people.
    """

    runtime: str
    fields: tuple[Field, ...]
    form: str


@dataclass(frozen=True)
class Input:
    """One input tensor as a model describes it.

    Attributes:
        flat: it has one dimension.
        width: size of its second dimension; None when it is open.
    """

    name: str
    dtype: Dtype
    flat: bool = False
    width: int | None = None


def in_order(fields: Sequence[Field], names: Sequence[str], source: Path) -> tuple[Field, ...]:
    """Return ``fields`` in the order of the columns that the model itself names; as they are when it names none.

    Raises:
        FactoryError: the model has other columns.
    """
    if len(names) != len(fields):
        raise FactoryError(
            f"{source}: takes {len(names)} columns, the manifest names {len(fields)}; correct the manifest"
        )
    known = {field.name: field for field in fields}
    if set(names) == set(known):
        return tuple(known[name] for name in names)
    if any(name in known for name in names):
        missing = ", ".join(f"'{name}'" for name in names if name not in known)
        raise FactoryError(
            f"{source}: has the columns {missing}, which the manifest does not name; correct the manifest"
        )
    return tuple(fields)


def tensors_of(
    inputs: Sequence[Input], fields: tuple[Field, ...], wanted: Adoption, source: Path
) -> tuple[Tensors, tuple[Field, ...]]:
    """Return how the features become ``inputs``, and the features with what those ask of them.

    One input takes all features; several take one feature each, by name.

    Raises:
        FactoryError: names, types or sizes do not fit.
    """
    if len(inputs) == 1:
        only = inputs[0]
        if only.width not in (None, len(fields)) or (only.flat and len(fields) > 1):
            raise FactoryError(
                f"{source}: takes {only.width or 1} columns, the manifest names {len(fields)}; correct it"
            )
        tensors: tuple[Tensor, ...] = (
            Tensor(name=only.name, dtype=only.dtype, features=tuple(one.name for one in fields), flat=only.flat),
        )
    else:
        fields = in_order(fields, [one.name for one in inputs], source)
        if {one.name for one in inputs} != {one.name for one in fields}:
            raise FactoryError(
                f"{source}: has the inputs {', '.join(one.name for one in inputs)}; name the features like them"
            )
        tensors = tuple(Tensor(name=one.name, dtype=one.dtype, features=(one.name,), flat=one.flat) for one in inputs)
    types = {name: tensor.dtype for tensor in tensors for name in tensor.features}
    return (
        Tensors(inputs=tensors, output=wanted.output, link=wanted.link),
        tuple(_asked(field, types[field.name], source) for field in fields),
    )


def _asked(field: Field, dtype: Dtype, source: Path) -> Field:
    """Return ``field`` with what its tensor's type asks of it."""
    if (field.type == "string") != (dtype == "string") or field.type == "datetime":
        raise FactoryError(
            f"{source}: feature '{field.name}' is a {field.type}, its input takes {dtype}; correct the manifest"
        )
    return field.model_copy(update={"whole": dtype in WHOLE, "required": dtype in (*WHOLE, "bool")})
