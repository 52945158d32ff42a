"""A source in parts that fit into memory; each part knows the number of its first row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.batch.scoring import AT_ONCE
from include.data.files import ParquetSource
from include.data.source import Source

if TYPE_CHECKING:
    import pandas as pd

Chunk = tuple[int, "pd.DataFrame"]


def chunks(source: Source, rows: int = AT_ONCE) -> Iterator[Chunk]:
    """Yield (number of its first row, rows) of ``source``, in order.

    A Parquet file is read row group by row group; other sources are read whole.

    Raises:
        SpecError: the source cannot be read, or is empty.
    """
    if not isinstance(source, ParquetSource):
        yield from sliced(source.read(), 0, rows)
        return
    first = 0
    for group, size in enumerate(source.row_groups()):
        yield from sliced(source.read_row_group(group), first, rows)
        first += size


def sliced(frame: pd.DataFrame, first: int, rows: int = AT_ONCE) -> Iterator[Chunk]:
    """Yield parts of ``frame``, whose first row has the number ``first``."""
    for start in range(0, len(frame), rows):
        yield first + start, frame.iloc[start : start + rows]
