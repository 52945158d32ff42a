"""What every source of rows has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from functools import cached_property

import pandas as pd

from include.data.frames import duplicated, kinds, normalise, to_times
from include.data.problems import error, missing_column
from include.specs import ModelSpec, SpecError

SAMPLE = 1000
"""Rows from which column types are told."""


class Source(ABC):
    """Rows of one model. A new kind of source implements `_load` and passes ``tests/unit/data/source_contract.py``.

    Attributes:
        spec: the model whose ``data.source`` this is.
        time: the spec's event time column, or None.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.time = spec.data.time

    @abstractmethod
    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Return rows as they are kept, in a stable order.

        Args:
            start: leave out rows that are surely before this event time, as far as the source can; never others.
            end: likewise for rows at or after this event time.
            columns: only these; every one exists.
            limit: only so many rows; never given together with a time.

        Raises:
            SpecError: the source cannot be read.
            TemporarilyUnavailableError: it did not answer.
        """

    @property
    @abstractmethod
    def title(self) -> str:
        """What the source is, for messages; never with a password."""

    @cached_property
    def names(self) -> list[str]:
        """The column names, in order; raises SpecError for one that occurs twice."""
        names = [str(name) for name in self._load(limit=1).columns]
        if twice := duplicated(names):
            raise self.error("data.source", f"{self.title} has column '{twice[0]}' more than once", "rename one")
        return names

    def columns(self) -> dict[str, str]:
        """Return the name and the kind (number, boolean, datetime, string) of every column, in order."""
        return dict(kinds(self.sample(SAMPLE)))

    def sample(self, n: int) -> pd.DataFrame:
        """Return at most ``n`` rows, normalised.

        Raises:
            SpecError: the source cannot be read, or is empty.
        """
        return self._filled(self._normal(self._load(columns=self.names, limit=n)))

    def read(self, start: datetime | None = None, end: datetime | None = None) -> pd.DataFrame:
        """Return every row with ``start <= event time < end``, normalised (`include.data.frames`).

        Args:
            start: the first event time; from the beginning when None.
            end: the event time before which rows end; up to the latest when None.

        Raises:
            SpecError: the source cannot be read, holds no such rows, or its time column cannot be understood.
            TemporarilyUnavailableError: the source did not answer.
        """
        if self.time is not None and self.time not in self.names:
            raise SpecError([missing_column(self.spec, "data.time", self.time, self.names)])
        if self.time is None and (start is not None or end is not None):
            raise self.error("data.time", "a time window was asked for", "name the column with the event time")
        frame = self._normal(self._load(start, end, columns=self.names))
        if start is not None:
            frame = frame[frame[self.time] >= start]
        if end is not None:
            frame = frame[frame[self.time] < end]
        return self._filled(frame.reset_index(drop=True), start, end)

    def latest_event(self) -> datetime | None:
        """Return the latest event time, or None when the model has no time column or no row has a time."""
        if self.time is None:
            return None
        if self.time not in self.names:
            raise SpecError([missing_column(self.spec, "data.time", self.time, self.names)])
        latest = self._normal(self._load(columns=[self.time]))[self.time].max()
        return None if pd.isna(latest) else latest.to_pydatetime()

    def error(self, field: str, message: str, fix: str) -> SpecError:
        """Return the error for one thing that is wrong with this source."""
        return error(self.spec, field, message, fix)

    def _normal(self, raw: pd.DataFrame) -> pd.DataFrame:
        frame = normalise(raw)
        if self.time is None or self.time not in frame.columns:
            return frame
        times = to_times(frame[self.time])
        if not_times := frame[self.time][times.isna() & frame[self.time].notna()].head(3).tolist():
            shown = ", ".join(f"'{value}'" for value in not_times)
            raise self.error("data.time", f"column '{self.time}' holds values that are no time: {shown}", _TIME_FIX)
        frame[self.time] = times
        return frame

    def _filled(self, frame: pd.DataFrame, start: datetime | None = None, end: datetime | None = None) -> pd.DataFrame:
        if not frame.empty:
            return frame
        if start is None and end is None:
            raise self.error("data.source", f"{self.title} holds no rows", "fill it, or name another source")
        latest = self.latest_event()
        span = f"from {start or 'the beginning'} to {end or 'the end'}"
        seen = f"; its latest event is of {latest}" if latest else ""
        raise self.error("data.source", f"{self.title} holds no rows {span}{seen}", "choose another window")


_TIME_FIX = "write times as 2025-01-31 or 2025-01-31T08:00:00Z (not as numbers), or name another column"
