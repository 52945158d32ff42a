"""Rows that Spark makes of files too large for one machine: features by aggregation, a row an entity or a period."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from include.data.source import Source
from include.engines.spark_session import spark_session
from include.specs import ROOT, ModelSpec, Platform, did_you_mean
from include.specs import data as specs

VIEW = "rows"
"""The name that a query gives to the files."""
_QUERY_ERRORS = ("AnalysisException", "ParseException", "SparkRuntimeException", "ArithmeticException")
_UNREADABLE = re.compile(r"\[FAILED_READ_FILE[.\w]*\] (.*)")


class SparkSource(Source):
    """The result of one Spark query over Parquet or CSV files: it fits into one machine, the files need not.

    The query runs once, where the platform's ``spark_master`` says; a time window cuts its result.
    """

    def __init__(self, spec: ModelSpec, source: specs.SparkSource, platform: Platform) -> None:
        super().__init__(spec)
        self._source, self._platform = source, platform

    @property
    def title(self) -> str:
        """The files as the spec gives them."""
        return f"Spark query over {self._source.path}" if self._source.query else f"files {self._source.path}"

    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        frame = self._result.head(limit) if limit is not None else self._result
        return frame if columns is None else frame[columns]

    @cached_property
    def _result(self) -> pd.DataFrame:
        """The rows, sorted by time, then id, then everything: Spark's own order is another one each time."""
        self._check_path()
        with spark_session(self._platform, f"features of {self.spec.name}") as spark:
            try:
                frame: pd.DataFrame = self._rows(spark).toPandas()
            except Exception as error:  # Spark's errors have no root that can be named without importing it
                unreadable = _UNREADABLE.search(str(error))
                if type(error).__name__ not in _QUERY_ERRORS and not unreadable:
                    raise
                field = "data.source.query" if self._source.query and not unreadable else "data.source.path"
                raise self.error(field, f"{self.title} failed: {_first(error)}", "correct it") from error
        keys = [name for name in (self.time, self.spec.data.id, *frame.columns) if name in frame.columns]
        texts = frame[list(dict.fromkeys(keys))].map(_sortable)
        return frame.loc[texts.sort_values(list(texts.columns), kind="stable").index].reset_index(drop=True)

    def _rows(self, spark: Any) -> Any:
        path = self._source.path if "://" in self._source.path else str(ROOT / self._source.path)
        if self._source.format == "csv":
            files = spark.read.option("header", True).option("inferSchema", True).csv(path)
        else:
            files = spark.read.parquet(path)
        files.createOrReplaceTempView(VIEW)
        return spark.sql(self._source.query) if self._source.query else files

    def _check_path(self) -> None:
        path = ROOT / self._source.path
        if "://" in self._source.path or "*" in self._source.path or path.exists():
            return
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        fix = did_you_mean(path.name, near) or "check the path (it is relative to the project)"
        raise self.error("data.source.path", f"there is nothing at {self._source.path}", fix)


def _sortable(value: Any) -> str:
    """Return a text that sorts as the value does, near enough: what counts is that it is the same each time."""
    if isinstance(value, pd.Timestamp):
        return str(value.isoformat())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:+030.9f}"


def _first(error: Exception) -> str:
    if unreadable := _UNREADABLE.search(str(error)):
        return unreadable[1].split(" SQLSTATE")[0]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(" SQLSTATE")[0] if lines else type(error).__name__
