"""Tables in the shapes that other scoring protocols send: MLflow's and TensorFlow's JSON, and CSV.

MLflow: ``dataframe_split``, ``dataframe_records``, ``instances`` or ``inputs``. KServe's first protocol and TensorFlow
Serving: ``instances`` alone. Rows without names are in the order of the model's features.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from include.serving.errors import ServingError
from include.serving.messages import Instance, decode
from include.store.packages import Field, Manifest

MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"))
"""What stands for a missing number, boolean or time in CSV; for text only the empty one does."""
_FLAGS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


class SplitFrame(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A pandas DataFrame by ``to_dict(orient="split")``; the index is not looked at."""

    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


class Invocation(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``/invocations``: one of the four tables, and parameters."""

    dataframe_split: SplitFrame | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None
    params: dict[str, Any] | None = None


class Instances(msgspec.Struct, omit_defaults=True):
    """The body of ``:predict`` and ``:explain``: rows as objects, or as arrays in the order of the features."""

    instances: list[Any]


INVOCATION = msgspec.json.Decoder(Invocation)
INSTANCES = msgspec.json.Decoder(Instances)


def invocation_of(body: bytes) -> Invocation:
    """Return the JSON body of ``/invocations``.

    Raises:
        ServingError: 400 it is no JSON, 422 it is not exactly one table.
    """
    found = decode(INVOCATION, body)
    tables = (found.dataframe_split, found.dataframe_records, found.instances, found.inputs)
    if sum(table is not None for table in tables) != 1:
        message = "send exactly one of dataframe_split, dataframe_records, instances and inputs"
        raise ServingError(422, "invalid_request", message)
    return found


def rows_of(found: Invocation, manifest: Manifest) -> list[dict[str, Any]]:
    """Return the rows of the table, by column.

    Raises:
        ServingError: 422, columns and values do not agree.
    """
    if found.dataframe_split is not None:
        return _split(found.dataframe_split)
    if found.dataframe_records is not None:
        return found.dataframe_records
    if isinstance(found.inputs, dict):
        return _columns(found.inputs)
    return listed_rows(found.instances or found.inputs or [], manifest, "inputs" if found.inputs else "instances")


def listed_rows(rows: Sequence[Any], manifest: Manifest, where: str) -> list[dict[str, Any]]:
    """Return rows that are objects, arrays in the order of the features, or, for one feature, values.

    Raises:
        ServingError: 422, rows are of several kinds, or have another number of values than the model has features.
    """
    names = [field.name for field in manifest.features]
    kinds = set(map(type, rows))
    if kinds == {dict}:
        return list(rows)
    if kinds == {list}:
        wrong = next((i for i, row in enumerate(rows) if len(row) != len(names)), None)
        if wrong is None:
            return [dict(zip(names, row, strict=True)) for row in rows]
        message = f"has {len(rows[wrong])} values; the model has {len(names)} features"
        raise _unreadable(f"{where}[{wrong}]", message)
    if kinds & {dict, list}:
        raise _unreadable(where, "mixes objects, arrays and values; send rows of one kind")
    if len(names) != 1:
        raise _unreadable(where, "send each row as an object, or as an array in the order of the features")
    return [{names[0]: value} for value in rows]


def _split(frame: SplitFrame) -> list[dict[str, Any]]:
    width = len(frame.columns)
    if len(set(frame.columns)) != width:
        raise _unreadable("dataframe_split.columns", "names a column twice")
    for index, row in enumerate(frame.data):
        if len(row) != width:
            raise _unreadable(f"dataframe_split.data[{index}]", f"has {len(row)} values for {width} columns")
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.data]


def _columns(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of named columns; of values that are no arrays there is one row."""
    listed = {name: values if isinstance(values, list) else [values] for name, values in columns.items()}
    counts = {len(values) for values in listed.values()}
    if len(counts) > 1:
        raise _unreadable("inputs", "has columns of different lengths")
    flat = [[_alone(value) for value in values] for values in listed.values()]
    return [dict(zip(listed, row, strict=True)) for row in zip(*flat, strict=True)]


def _alone(value: Any) -> Any:
    """Return the value of an array that holds one: columns may have the shape (rows, 1)."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def csv_rows(body: bytes, manifest: Manifest) -> list[dict[str, Any]]:
    """Return the rows of a CSV text, whose first line names the columns.

    Raises:
        ServingError: 400 it is no CSV in UTF-8, 422 a value is not of its column's type.
    """
    fields = {field.name: field for field in manifest.features}
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ServingError(400, "malformed_csv", "the body is no CSV in UTF-8") from error
    lines = [line for line in lines if line]
    if not lines:
        raise ServingError(400, "malformed_csv", "the body is empty; its first line names the columns")
    header, *rest = lines
    if len(set(header)) != len(header):
        raise ServingError(400, "malformed_csv", "the first line names a column twice")
    rows, details = [], []
    for index, line in enumerate(rest):
        if len(line) != len(header):
            details.append(
                {"where": f"line {index + 2}", "message": f"has {len(line)} values for {len(header)} columns"}
            )
            continue
        row = {}
        for name, text in zip(header, line, strict=True):
            try:
                row[name] = _read(text, fields.get(name))
            except ValueError as error:
                details.append({"where": f"line {index + 2}.{name[:100]}", "message": str(error)})
        rows.append(row)
    if details:
        raise ServingError(422, "invalid_features", "the CSV cannot be read", details)
    return rows


def _read(text: str, field: Field | None) -> Any:
    """Return a CSV value as its column's type.

    Raises:
        ValueError: it is not of that type; the message does not repeat it.
    """
    kind = field.type if field else "string"
    if kind == "string":
        return text or None
    if (stripped := text.strip()) in MISSING:
        return None
    if kind == "boolean":
        if stripped.lower() not in _FLAGS:
            raise ValueError("must be true or false")
        return _FLAGS[stripped.lower()]
    if kind == "number":
        try:
            return float(stripped)
        except ValueError as error:
            raise ValueError("must be a number") from error
    return stripped


def instances_of(rows: Sequence[dict[str, Any]], params: dict[str, Any] | None = None) -> list[Instance]:
    """Return ``rows`` as instances; ``params`` may hold the ``event_time`` of all of them.

    Raises:
        ServingError: 422, there are no rows, or the time is no text.
    """
    if not rows:
        raise ServingError(422, "invalid_request", "the table has no rows; send at least one")
    time = (params or {}).get("event_time")
    if time is not None and not isinstance(time, str):
        raise _unreadable("params.event_time", "must be an ISO 8601 text")
    return [Instance(features=row, event_time=time) for row in rows]


def _unreadable(where: str, message: str) -> ServingError:
    return ServingError(422, "invalid_request", "the table cannot be read", [{"where": where, "message": message}])


# Answers


def record_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as the registered model gives it in MLflow: ``label``, and ``probability_<class>`` for each.

    An explanation is kept.
    """
    probabilities = answer.get("probabilities", {})
    record = {"label": answer["label"], **{f"probability_{name}": value for name, value in probabilities.items()}}
    return record | ({"explanation": answer["explanation"]} if "explanation" in answer else {})
