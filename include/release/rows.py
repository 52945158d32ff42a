"""Rows to probe with: held-out rows of the training run, as a caller would send them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from include.specs import FactoryError
from include.store.packages import MANIFEST, Manifest

PROBE_ROWS = 200
Locate = Callable[[str, str], Path]
"""Returns the local path of an artifact of the training run, by task and name; raises FactoryError without one."""


def probe_rows(locate: Locate) -> list[dict[str, Any]]:
    """Return held-out rows of the training run, or its one example row where they are no longer kept."""
    try:
        return held_out_rows(locate("prepare", "prepared"))
    except FactoryError:
        manifest = Manifest.model_validate_json(locate("search", f"package/{MANIFEST}").read_bytes())
        return [{field.name: field.example for field in manifest.features}]


def held_out_rows(prepared: Path, count: int = PROBE_ROWS) -> list[dict[str, Any]]:
    """Return up to ``count`` held-out rows of the folder ``prepared`` that the step `prepare` left, in random order."""
    import pyarrow.parquet as pq

    fields = json.loads((prepared / "prepared.json").read_text(encoding="utf-8"))["fields"]
    table = pq.read_table(prepared / "test.parquet", columns=[field["name"] for field in fields])
    chosen = random.Random(table.num_rows).sample(range(table.num_rows), min(count, table.num_rows))
    types = {field["name"]: field["type"] for field in fields}
    return [plain(row, types) for row in table.take(chosen).to_pylist()]


def plain(row: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Return ``row`` as JSON-ready values: null for what is missing, truth values for booleans, ISO times."""
    return {name: _plain(value, types[name]) for name, value in row.items()}


def _plain(value: Any, kind: str) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "boolean":
        return bool(value)
    return value.isoformat() if kind == "datetime" else value
