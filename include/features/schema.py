"""What the columns of a table are: types for a caller, roles for the model, and a reason for every column left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from include.features.parsing import Parsed, parse
from include.features.texts import is_free_text
from include.specs.errors import Problem, SpecError, did_you_mean
from include.store.packages import Field, typed

if TYPE_CHECKING:
    import pandas as pd

    from include.specs.model import ModelSpec

NEAR_UNIQUE = 0.95
"""Text whose distinct values reach this share of its rows identifies rows rather than describes them."""
FEW = 20
"""Columns with up to this many distinct values are never taken for identifiers."""
_ID_NAME = re.compile(r"(^|[_\s.-])(id|ids|key|uuid|guid|index|idx|rownames?|rowid|number|nr|no)$", re.IGNORECASE)


@dataclass(frozen=True)
class Schema:
    """What `detect` found.

    Attributes:
        fields: the feature columns, in the table's order.
        dropped: column → why it is no feature.
        notes: what a person should know of columns that were kept, such as values read as missing.
    """

    fields: tuple[Field, ...]
    dropped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def detect(frame: pd.DataFrame, spec: ModelSpec) -> Schema:
    """Find the type and the role of every column of ``frame``.

    A column is a feature unless it has another role (target, id, time, group), the spec leaves it out, or it cannot
    help: no value, one value, a copy of another column, an identifier. The last two are kept when the spec names them
    under ``features``.

    Raises:
        SpecError: the spec names columns that are not there, or asks for numbers where there are none.
    """
    _known_columns(frame, spec)
    roles, wanted = _roles(spec), wanted_columns(spec)
    fields: list[Field] = []
    dropped: dict[str, str] = {}
    notes: list[str] = []
    seen: dict[str, str] = {}
    for name in map(str, frame.columns):
        if (reason := roles.get(name) or _left_out(name, spec)) is not None:
            dropped[name] = reason
            continue
        parsed = parse(frame[name], _forced(name, frame[name], spec))
        if (reason := _useless(name, parsed, seen, name in wanted)) is not None:
            dropped[name] = reason
            continue
        fields.append(_field(name, parsed))
        notes += [f"{name}: {note}" for note in parsed.notes]
    _numbers_are_numbers(fields, dropped, spec)
    _monotone_are_numbers(fields, spec)
    return Schema(tuple(fields), dropped, tuple(notes))


def read(frame: pd.DataFrame, fields: Iterable[Field]) -> pd.DataFrame:
    """Return the columns of ``fields`` with the dtypes of `include.store.packages.typed`.

    More lenient than ``typed``: numbers, booleans and dates kept as text are parsed, what cannot be is missing.
    """
    import pandas as pd

    known = tuple(fields)
    columns = {column.name: parse(frame[column.name], column.type, column.writing).values for column in known}
    return typed(pd.DataFrame(columns, index=frame.index), known)


def _known_columns(frame: pd.DataFrame, spec: ModelSpec) -> None:
    """Refuse columns that the spec names and the table lacks, all at once."""
    columns = [str(name) for name in frame.columns]
    named = [("problem.target", spec.problem.target), ("problem.weight", spec.problem.weight)]
    named += [(f"data.{role}", getattr(spec.data, role)) for role in ("id", "time", "group")]
    for key in ("include", "exclude", "numeric", "categorical", "monotone"):
        named += [(f"features.{key}", name) for name in getattr(spec.features, key)]
    named += [("search.objectives", name) for name in spec.search.groups]
    problems = [
        Problem(f"{spec.name}: {where}", f"there is no column '{name}'", did_you_mean(name, columns))
        for where, name in named
        if name is not None and name not in columns and where not in ("data.id", "data.time", "data.group")
    ]
    if problems:
        raise SpecError(problems)


def _roles(spec: ModelSpec) -> dict[str, str]:
    """Return column → reason for the columns whose role is not to be a feature."""
    roles = {
        spec.problem.weight: "the weight of the row",
        spec.data.group: "the group that splits keep together",
        spec.data.time: "the event time",
        spec.data.id: "the row's id",
        spec.problem.target: "the target",
    }
    return {name: reason for name, reason in roles.items() if name is not None}


def wanted_columns(spec: ModelSpec) -> set[str]:
    """Return the columns that the spec asks for: no guess drops them."""
    named = spec.features
    return {*named.include, *named.numeric, *named.categorical, *named.monotone}


def _left_out(name: str, spec: ModelSpec) -> str | None:
    if name in spec.features.exclude:
        return "left out by features.exclude"
    if spec.features.include and name not in spec.features.include:
        return "not named in features.include"
    return None


def _forced(name: str, column: pd.Series, spec: ModelSpec) -> Literal["number"] | None:
    """Return the type that the spec asks for; `features.categorical` changes the use of a column, not its type.

    Numbers that are to be categories are never read as dates.
    """
    quantity = column.dtype.kind in "iuf"
    return "number" if name in spec.features.numeric or (quantity and name in spec.features.categorical) else None


def _useless(name: str, parsed: Parsed, seen: dict[str, str], wanted: bool) -> str | None:
    """Return why the column cannot help, or None; ``seen`` collects the columns' contents to find copies."""
    if parsed.unreadable:
        return parsed.unreadable
    values = parsed.values
    known = values.dropna()
    distinct = known.nunique()
    if distinct == 0:
        return "has no value in any row"
    if distinct == 1 and len(known) == len(values):
        return f"has the same value in every row ({_short(known.iloc[0])})"
    if wanted:
        return None
    digest = _digest(values)
    if digest in seen:
        return f"holds the same values as '{seen[digest]}'"
    check = _IDENTIFIERS.get(parsed.type)
    reason = check(name, known, distinct, len(values)) if check and distinct > FEW else None
    if reason is None:
        seen[digest] = name
    return reason


def _text_identifier(name: str, known: pd.Series, distinct: int, rows: int) -> str | None:
    if distinct >= NEAR_UNIQUE * len(known) and not is_free_text(known, distinct):
        return f"identifies rows ({distinct} distinct values in {len(known)} rows)"
    return None


def _integer_identifier(name: str, known: pd.Series, distinct: int, rows: int) -> str | None:
    """Return a reason for row numbers (distinct integers without large gaps) and for distinct integers named an id."""
    if distinct < rows or not (known == known.round()).all():
        return None
    if known.max() - known.min() < 2 * rows:
        return "numbers the rows (distinct integers without large gaps)"
    if _ID_NAME.search(name):
        return "identifies rows (distinct integers, named as an id)"
    return None


_IDENTIFIERS: dict[str, Callable[[str, pd.Series, int, int], str | None]] = {
    "string": _text_identifier,
    "number": _integer_identifier,
}


def _digest(values: pd.Series) -> str:
    """Return a digest of the values that is the same for columns with the same content."""
    import hashlib

    import pandas as pd

    hashed = pd.util.hash_pandas_object(values, index=False).to_numpy()
    return f"{values.dtype}:{hashlib.sha256(hashed.tobytes()).hexdigest()}"


def _field(name: str, parsed: Parsed) -> Field:
    known = parsed.values.dropna()
    typical = known.median() if parsed.type in ("number", "datetime") else known.mode().iloc[0]
    return Field(
        name=name,
        type=parsed.type,
        nullable=len(known) < len(parsed.values),
        writing=parsed.writing,
        example=_plain(known.iloc[0], parsed.type),
        typical=_plain(typical, parsed.type),
    )


def _plain(value: Any, kind: str) -> Any:
    """Return a value as JSON keeps it."""
    if kind == "datetime":
        return value.isoformat()
    if kind == "number":
        return int(value) if float(value).is_integer() else float(value)
    return bool(value) if kind == "boolean" else value


def _numbers_are_numbers(fields: list[Field], dropped: dict[str, str], spec: ModelSpec) -> None:
    """Refuse `features.numeric` for a column without a single number."""
    problems = [
        Problem(f"{spec.name}: features.numeric", f"column '{name}' holds no number", "take it out of that list")
        for name in spec.features.numeric
        if dropped.get(name, "").startswith("has no value")
    ]
    if problems:
        raise SpecError(problems)


def _monotone_are_numbers(fields: list[Field], spec: ModelSpec) -> None:
    """Refuse `features.monotone` for a column that is used as anything but a number."""
    types = {field.name: field.type for field in fields}
    problems = [
        Problem(f"{spec.name}: features.monotone", f"column '{name}' is no number", "add it to features.numeric")
        for name in spec.features.monotone
        if types.get(name, "number") != "number" or name in spec.features.categorical
    ]
    if problems:
        raise SpecError(problems)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 30 else text[:29] + "…"
