"""CSV and Parquet files, local or at any URI that fsspec knows."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import IO, Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.data.frames import duplicated
from include.data.source import Source
from include.specs import ROOT, ModelSpec, did_you_mean
from include.specs import data as specs
from include.store.filesystems import file_system_of

_SEPARATORS = (",", ";", "\t", "|")
_CSV_FIX = "give a CSV file in UTF-8 with a header line, and as many fields in every line"
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
"""Columns that pandas adds to a Parquet file for an index without a name."""


class FileSource(Source):
    """A file at a path relative to the project, or at a URI."""

    def __init__(self, spec: ModelSpec, source: specs.FileSource, field: str = "data.source.path") -> None:
        super().__init__(spec)
        self._path, self._field = source.path, field

    @property
    def title(self) -> str:
        """The file's path as the spec gives it."""
        return f"file {self._path}"

    def _open(self) -> AbstractContextManager[IO[bytes]]:
        filesystem, path = self._locate()
        opened: AbstractContextManager[IO[bytes]] = filesystem.open(path, "rb", compression="infer")
        return opened

    def _locate(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """Return the file system and the path in it of a file that exists."""
        try:
            filesystem, path = file_system_of(self._path if "://" in self._path else str(ROOT / self._path))
            is_file = filesystem.isfile(path)
            is_folder = not is_file and filesystem.isdir(path)
        except (ImportError, ValueError, OSError) as error:
            raise self._unreadable(error, "use a path, or a URI whose fsspec package is installed") from error
        if is_file:
            return filesystem, path
        folder = str(PurePosixPath(path).parent)
        if is_folder:
            raise self.error(self._field, f"{self.title} is a folder", "name a file in it")
        siblings = [PurePosixPath(str(name)).name for name in _list(filesystem, folder)]
        fix = did_you_mean(PurePosixPath(path).name, siblings) or "check the path (it is relative to the project)"
        raise self.error(self._field, f"there is no {self.title}", fix)

    def _unreadable(self, reason: Exception, fix: str) -> Exception:
        text = (str(reason).strip() or type(reason).__name__).splitlines()[0]
        return self.error(self._field, f"{self.title} cannot be read: {text}", fix)


class CsvSource(FileSource):
    """A CSV file, plain or compressed; separated by comma, semicolon, tab or bar, which its first line tells."""

    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        try:
            separator = self._separator()
            with self._open() as file:
                frame = pd.read_csv(
                    file,
                    sep=separator,
                    nrows=limit,
                    encoding="utf-8-sig",
                    low_memory=False,
                    float_precision="round_trip",  # the default is off by the last digit at times
                )
        except (OSError, EOFError, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise self._unreadable(error, _CSV_FIX) from error
        if not isinstance(frame.index, pd.RangeIndex):  # pandas takes surplus leading fields for an index
            raise self._unreadable(ValueError("lines have more fields than the header"), _CSV_FIX)
        # not by usecols, under which pandas cuts lines with too many fields without a word
        return frame if columns is None else frame[columns]

    def _separator(self) -> str:
        with self._open() as file:
            header = file.readline().decode("utf-8-sig")
        separator = max(_SEPARATORS, key=header.count)
        names = [name.strip().strip('"') for name in header.strip().split(separator)] if header.strip() else []
        if twice := duplicated(name for name in names if name):
            # pandas would rename the second one without a word
            raise self.error(self._field, f"{self.title} has column '{twice[0]}' more than once", "rename one")
        return separator


class ParquetSource(FileSource):
    """A Parquet file; of a window only the row groups that may hold its rows are read."""

    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        filesystem, path = self._locate()
        try:
            with filesystem.open(path, "rb") as file:
                parquet = pq.ParquetFile(file)
                if twice := duplicated(parquet.schema_arrow.names):
                    raise self.error(self._field, f"{self.title} has column '{twice[0]}' more than once", "rename one")
                columns = columns or [name for name in parquet.schema_arrow.names if not _UNNAMED_INDEX.match(name)]
                if limit is not None:
                    return _head(parquet, columns, limit)
                filters = self._filters(parquet.schema_arrow, start, end)
            table = pq.read_table(path, filesystem=filesystem, columns=columns, filters=filters or None)
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error, "give a Parquet file") from error
        return table.to_pandas(ignore_metadata=True)

    def row_groups(self) -> list[int]:
        """Return how many rows each row group holds: the parts in which the file can be read."""
        filesystem, path = self._locate()
        try:
            with filesystem.open(path, "rb") as file:
                metadata = pq.ParquetFile(file).metadata
                return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error, "give a Parquet file") from error

    def read_row_group(self, group: int) -> pd.DataFrame:
        """Return the rows of one row group, normalised."""
        filesystem, path = self._locate()
        try:
            with filesystem.open(path, "rb") as file:
                table = pq.ParquetFile(file).read_row_group(group, columns=self.names)
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error, "give a Parquet file") from error
        return self._normal(table.to_pandas(ignore_metadata=True))

    def _filters(self, schema: pa.Schema, start: datetime | None, end: datetime | None) -> list[tuple[str, str, Any]]:
        """Return the window as Parquet filters, a little wide; none where the column is not of a time type."""
        if self.time is None or not pa.types.is_timestamp(kind := schema.field(self.time).type):
            return []
        slack = timedelta(seconds=1)
        bounds = [(">=", start - slack)] if start is not None else []
        bounds += [("<=", end + slack)] if end is not None else []
        return [(self.time, operator, _scalar(moment, kind)) for operator, moment in bounds]


def _scalar(moment: datetime, kind: pa.TimestampType) -> pa.Scalar:
    moment = moment.astimezone(UTC)
    return pa.scalar(moment if kind.tz else moment.replace(tzinfo=None)).cast(kind, safe=False)


def _head(parquet: pq.ParquetFile, columns: list[str], limit: int) -> pd.DataFrame:
    batch = next(parquet.iter_batches(batch_size=max(limit, 1), columns=columns), None)
    table = pa.Table.from_batches([batch]) if batch is not None else parquet.schema_arrow.empty_table().select(columns)
    return table.to_pandas(ignore_metadata=True)


def _list(filesystem: fsspec.AbstractFileSystem, folder: str) -> list[str]:
    try:
        names: list[str] = filesystem.ls(folder, detail=False)
    except (OSError, ValueError):
        return []
    return names
