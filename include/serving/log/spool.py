"""The spool: answered predictions in append-only files, written before the answer leaves.

A write lands in the page cache, so it survives the death of the process, and it costs microseconds whatever the
database does. The log writer (a process of its own) moves the records to their sink and removes the files.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from include.serving.observability import metrics
from include.store.log_records import Record

log = logging.getLogger(__name__)
SEGMENT_BYTES = 4 << 20
SUFFIX = ".jsonl"
PROGRESS = "progress"
MEASURE_SECONDS = 0.1

Position = tuple[str, int]
"""Segment and offset behind a record."""


class Spool:
    """The writing side. A segment is locked (flock) as long as its writer lives: no lock means that it is complete.

    Somebody calls `sync` every now and then: that bounds what a loss of power costs, and lets go of full segments.

    Args:
        folder: where the segments are.
        max_bytes: disk space for all of them; beyond it records are dropped, counted, and the log says so.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = folder, max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(max_bytes // 4, 1))
        self._lock = threading.Lock()
        self._descriptor = -1
        self._encoder = msgspec.json.Encoder()
        self._complained = self._measured_at = 0.0
        self._torn = False
        self._retired: list[int] = []
        self._synced = (-1, 0)
        folder.mkdir(parents=True, exist_ok=True)
        self._open()

    def append(self, records: Sequence[Record]) -> Position | None:
        """Write ``records`` and return the position behind them; None when they had to be dropped."""
        lines = self._encoder.encode_lines(records)
        if lines.count(b"\n") != len(records):
            lines = self._one_line_each(records)
        with self._lock:
            try:
                if self._size + len(lines) > self._limit:
                    self._make_room(len(lines))
                self._write(lines)
            except OSError as error:
                self._drop(len(records), error)
                return None
            return self._name, self._size

    @property
    def position(self) -> Position:
        """The position behind the last record."""
        return self._name, self._size

    def sync(self) -> None:
        """Force what was appended to the disk.

        Raises:
            OSError: the disk fails.
        """
        with self._lock:
            retired, self._retired = self._retired, []
            current = (self._descriptor, self._size)
        for descriptor in retired:
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        if current != self._synced:
            if current[0] != self._synced[0]:
                _sync_folder(self.folder)
            os.fdatasync(current[0])
            self._synced = current

    def close(self) -> None:
        """Force everything to the disk and let go of it: the log writer then removes what it has committed."""
        try:
            self.sync()
        finally:
            with self._lock:
                os.close(self._descriptor)
                self._descriptor = -1

    def _one_line_each(self, records: Sequence[Record]) -> bytes:
        """Return the lines of records of which some hold a caller's own JSON text, with line breaks between values."""
        return b"".join([self._encoder.encode(record).replace(b"\n", b" ") + b"\n" for record in records])

    def _write(self, lines: bytes) -> None:
        if self._torn:
            lines = b"\n" + lines
        written = os.write(self._descriptor, lines)
        self._size += written
        self._torn = written < len(lines)
        if self._torn:
            raise OSError("the disk is full")

    def _make_room(self, size: int) -> None:
        """Begin another segment when this one is full.

        Raises:
            OSError: the spool must not grow.
        """
        if self._size and self._size + size > self._segment_bytes:
            self._retired.append(self._descriptor)
            self._open()
        elif time.monotonic() - self._measured_at > MEASURE_SECONDS:
            self._measure()
        if self._size + size > self._max_bytes - self._others:
            raise OSError(f"the spool holds {self._max_bytes >> 20} MiB that wait for their sink")

    def _open(self) -> None:
        """Create a segment that nobody can take for an abandoned one: locked before it gets its name."""
        name = f"{time.time_ns():020d}-{os.getpid()}{SUFFIX}"
        temporary = self.folder / f"{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        temporary.rename(self.folder / name)
        self._descriptor, self._name, self._size, self._torn = descriptor, name, 0, False
        self._measure()

    def _measure(self) -> None:
        """Look how much room the other segments leave to this one."""
        self._measured_at = time.monotonic()
        self._others = sum(size for name, size in sizes(self.folder).items() if name != self._name)
        self._limit = min(self._segment_bytes, self._max_bytes - self._others)

    def _drop(self, count: int, error: OSError) -> None:
        metrics.LOG_DROPPED.inc(count)
        if time.monotonic() - self._complained > 10:
            self._complained = time.monotonic()
            log.error("predictions are not recorded: %s; see factory_log_dropped_total", error)


def sizes(folder: Path) -> dict[str, int]:
    """Return the segments of a spool, oldest first, with their sizes in bytes."""
    found = {}
    for entry in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found[entry.name] = entry.stat().st_size
        except FileNotFoundError:
            continue  # committed and removed a moment ago
    return found


def is_abandoned(descriptor: int) -> bool:
    """Tell whether a segment's writer is gone, or has begun another one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def has_servers(folder: Path) -> bool:
    """Tell whether somebody still writes into the spool."""
    for segment in folder.glob(f"*{SUFFIX}"):
        try:
            with segment.open("rb", buffering=0) as stream:
                if not is_abandoned(stream.fileno()):
                    return True
        except FileNotFoundError:
            continue
    return False


def read_progress(folder: Path) -> dict[str, int]:
    """Return segment → offset up to which the log writer has committed it."""
    try:
        lines = (folder / PROGRESS).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return {}
    return {name: int(offset) for name, _, offset in (line.partition(" ") for line in lines)}


def write_progress(folder: Path, offsets: Mapping[str, int]) -> None:
    """Let the servers, and a next log writer, know how far the segments are committed."""
    temporary = folder / f"{PROGRESS}.tmp"
    temporary.write_text("".join(f"{name} {offset}\n" for name, offset in offsets.items()), encoding="ascii")
    temporary.replace(folder / PROGRESS)


def _sync_folder(folder: Path) -> None:
    """Force the names in ``folder`` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
