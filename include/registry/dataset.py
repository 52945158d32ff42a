"""A data set as MLflow knows it: the input of a run, by its digest and schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

DIGEST_LENGTH = 36
"""Characters of a digest that MLflow keeps."""


def dataset_input(
    *, name: str, digest: str, source: str, columns: Mapping[str, str], rows: int, context: str
) -> DatasetInput:
    """Return a data set as an input of a run; the arguments are those of `include.registry.tracking.Tracking`."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    schema = {"mlflow_colspec": [{"name": key, "type": _column_type(kind)} for key, kind in columns.items()]}
    dataset = Dataset(
        name=name,
        digest=digest.rpartition(":")[2][:DIGEST_LENGTH],
        source_type=_source_type(source),
        source=json.dumps({"uri": source}),
        schema=json.dumps(schema),
        profile=json.dumps({"num_rows": rows, "num_elements": rows * len(columns)}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _source_type(source: str) -> str:
    scheme, separator, _ = source.partition("://")
    return scheme if separator and scheme != "file" else "local"


def _column_type(kind: str) -> str:
    """Return MLflow's name of a column type."""
    names = {"number": "double", "boolean": "boolean", "string": "string", "datetime": "datetime"}
    kind = kind.lower()
    if kind in names:
        return names[kind]
    for part, name in (("float", "double"), ("int", "long"), ("bool", "boolean"), ("date", "datetime")):
        if part in kind:
            return name
    return "string"
