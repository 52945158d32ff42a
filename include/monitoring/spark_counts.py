"""Windows counted by Spark: each worker reads a slice of the prediction log, and only counts come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from include.engines.errors import EngineError
from include.engines.spark_session import spark_session
from include.monitoring.counts import Reckoner, WindowCounts
from include.monitoring.drift import reckoner, with_answers
from include.monitoring.sample import Reference
from include.monitoring.windows import Due
from include.specs import Platform, load_platform
from include.store.prediction_log import PredictionLog

if TYPE_CHECKING:
    import pandas as pd

ROWS_A_SLICE = 50_000
"""Rows that a worker has in memory at a time, where they are spread evenly over the window."""
_SCHEMA = "column string, cell long, category string, rows long"
_READ = ""
"""In place of a column: how many rows the workers read."""


class SparkCounts:
    """Counts windows of one model; a context manager, as the Spark session lives as long as it.

    Workers read the log themselves: they need the FACTORY_* environment, as steps do.
    """

    def __init__(self, platform: Platform, model: str) -> None:
        self._platform, self._model = platform, model
        self._stack = ExitStack()
        self._spark: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._spark = None

    def __call__(self, reference: Reference, due: Due) -> WindowCounts:
        """Return the counts of all rows that ``due.version`` answered in the window.

        Raises:
            EngineError: the workers read another log than this process does.
        """
        if self._spark is None:
            self._spark = self._stack.enter_context(spark_session(self._platform, f"drift of {self._model}"))
        import pandas as pd

        context = self._spark.sparkContext
        slices = slices_of(due)
        bare = replace(reference, train=reference.train.iloc[:0])
        given = context.broadcast((self._model, due.version, bare, reckoner(reference)))
        frame = self._spark.createDataFrame(pd.DataFrame(slices, columns=["start", "end"]))
        counted = frame.repartition(len(slices)).mapInPandas(_counter(given), _SCHEMA)
        sums = counted.groupBy("column", "cell", "category").sum("rows").toPandas()
        read = int(sums.loc[sums["column"] == _READ, "sum(rows)"].sum())
        if read < due.rows:
            raise EngineError(
                f"Spark's workers read {read} of the {due.rows} rows of {self._model} in the log: give them the "
                "FACTORY_* environment of the steps (spark.executorEnv.<name> in FACTORY_ENGINES__SPARK_OPTIONS)"
            )
        return _joined(given.value[3], sums[sums["column"] != _READ].itertuples(index=False))


def slices_of(due: Due) -> list[tuple[str, str]]:
    """Return the window cut into slices of time, of about `ROWS_A_SLICE` rows where traffic is even."""
    count = max(1, -(-due.rows // ROWS_A_SLICE))
    edges = [due.start + (due.end - due.start) * part / count for part in range(count + 1)]
    return [(one.isoformat(), next_.isoformat()) for one, next_ in pairwise(edges)]


def _counter(given: Any) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Return what a worker does with the slices that it gets."""

    def count(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        model, version, reference, counts_of = given.value
        log = PredictionLog(load_platform())
        total, read = WindowCounts(), 0
        for batch in batches:
            for start, end in batch.itertuples(index=False):
                rows = log.frame(model, datetime.fromisoformat(start), datetime.fromisoformat(end))
                rows = rows[rows["version"] == version]
                read += len(rows)
                if len(rows):
                    total.add(counts_of.count(with_answers(reference, reference.sample(rows))))
        yield pd.DataFrame([*_rows(total), (_READ, 0, "", read)], columns=["column", "cell", "category", "rows"])

    return count


def _rows(counts: WindowCounts) -> list[tuple[str, int, str, int]]:
    """Return the counts that are not zero."""
    numbers = [
        (name, int(cell), "", int(cells[cell]))
        for name, cells in counts.numbers.items()
        for cell in np.flatnonzero(cells)
    ]
    named = [(name, -1, one, rows) for name, found in counts.categories.items() for one, rows in found.items()]
    return numbers + named


def _joined(counts_of: Reckoner, sums: Any) -> WindowCounts:
    total = WindowCounts(
        {name: np.zeros(2 * len(grid.points) + 1, dtype=np.int64) for name, grid in counts_of.grids.items()},
        {name: Counter() for name in counts_of.categories},
    )
    for name, cell, category, rows in sums:
        if cell >= 0:
            total.numbers[name][cell] = rows
        else:
            total.categories[name][category] = rows
    return total
