"""From a table of rows to answers and rejections, read and scored as the model server does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.serving.models.loaded import LoadedModel
from include.serving.models.rows import RowError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from include.inference.scorer import Row

AT_ONCE = 10_000
"""Rows that a model scores in one call, and a worker gets at a time."""


@dataclass(frozen=True)
class Scored:
    """What became of some rows.

    Attributes:
        answers: one row an answer: ``id``, ``model``, ``version``, ``label`` and, for classifiers,
            ``probability_<class>``.
        rejected: one row a row that the model cannot read: ``id`` and ``reason``.
    """

    answers: pa.Table
    rejected: pa.Table


def score_rows(model: LoadedModel, frame: pd.DataFrame, id_column: str | None, first: int = 0) -> Scored:
    """Score a table of at most `AT_ONCE` rows.

    Columns that the version does not know are left aside: a table holds more than a caller would send.

    Args:
        model: the version.
        frame: rows as a source reads them.
        id_column: names the rows; they are numbered from ``first`` when None.
        first: number of the first row.

    Raises:
        ModelFailedError: an answer is not finite.
    """
    names = [name for name in model.reader.names if name in frame.columns]
    ids = _ids(frame, id_column, first)
    columns = {name: [_plain(value) for value in frame[name].tolist()] for name in names}
    read: list[Row] = []
    kept: list[str] = []
    rejected: list[tuple[str, str]] = []
    for row_id, values in zip(ids, zip(*columns.values(), strict=True) if names else [()] * len(ids), strict=True):
        try:
            read.append(model.reader.read(dict(zip(names, values, strict=True)), model.reader.known))
            kept.append(row_id)
        except RowError as error:
            rejected.append((row_id, "; ".join(f"{name} {text}" for name, text in error.problems)))
    return Scored(_answers(model, kept, model.predict(read) if read else []), _rejections(rejected))


def _ids(frame: pd.DataFrame, id_column: str | None, first: int) -> list[str]:
    if id_column is None:
        return [str(first + place) for place in range(len(frame))]
    return [str(value) for value in frame[id_column].tolist()]


def _plain(value: Any) -> Any:
    """Return a cell as a caller would send it in JSON."""
    if value is None or value.__class__ in (str, bool, int):
        return value
    if value.__class__ is float:
        return None if math.isnan(value) else value
    import pandas as pd

    if pd.isna(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return _plain(value.item()) if hasattr(value, "item") else value


def _answers(model: LoadedModel, ids: Sequence[str], outputs: Sequence[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    labels = [output["label"] for output in outputs]
    classes = model.manifest.classes
    kind = (
        pa.float64()
        if classes is None
        else pa.array([str(one) if isinstance(one, str) else one for one in classes]).type
    )
    columns = {
        "id": pa.array(ids, pa.string()),
        "model": pa.array([model.model] * len(ids), pa.string()),
        "version": pa.array([model.version] * len(ids), pa.string()),
        "label": pa.array(labels, kind),
    }
    for name in map(str, classes or ()):
        columns[f"probability_{name}"] = pa.array([one["probabilities"][name] for one in outputs], pa.float64())
    return pa.table(columns)


def _rejections(rejected: Sequence[tuple[str, str]]) -> pa.Table:
    import pyarrow as pa

    ids, reasons = ([one[side] for one in rejected] for side in (0, 1))
    return pa.table({"id": pa.array(ids, pa.string()), "reason": pa.array(reasons, pa.string())})
