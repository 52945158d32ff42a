"""Predictions as a parquet file: ``target``, and ``output`` or, with several classes, ``output_0`` and so on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]


def write_outputs(file: Path, target: Array, outputs: Array, **columns: Array) -> None:
    """Write targets and outputs (shaped as `include.automl.bench.outputs_of` gives them), and further ``columns``."""
    wide = {f"output_{code}": outputs[:, code] for code in range(outputs.shape[1])} if outputs.ndim > 1 else None
    pd.DataFrame({**columns, "target": target, **(wide or {"output": outputs})}).to_parquet(file, index=False)


def read_outputs(file: Path) -> tuple[pd.DataFrame, Array]:
    """Return what `write_outputs` wrote: the table, and the outputs in their shape."""
    table = pd.read_parquet(file)
    if "output" in table.columns:
        return table, table["output"].to_numpy()
    return table, table.filter(regex=r"^output_\d+$").to_numpy()
