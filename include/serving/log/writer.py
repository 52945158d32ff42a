"""The log writer: moves the spool to its sink, in a process of its own, so that no request waits for it.

One works for all servers of a home: whoever starts it (`start`) hands it the lock. It ends when no server lives and
everything is committed, or when no server lives and the sink stays away; then the spool is kept for the next start.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from include.serving.log.spool import SUFFIX, has_servers, is_abandoned, read_progress, write_progress
from include.serving.observability import logs
from include.specs import FactoryError, load_platform
from include.store.database import UNAVAILABLE
from include.store.log_records import Record
from include.store.log_sink import Sink
from include.store.log_sinks import open_sink

log = logging.getLogger(__name__)
PAUSE_SECONDS, LONGEST_PAUSE = 0.1, 5.0
CHUNK_BYTES = 1 << 20
LEAVE_SECONDS = 15.0
"""How long the writer goes on without a server and without a commit."""
REJECTED = "rejected.txt"


def start(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start the log writer of the spool in ``folder``, and return it; None while one is at work.

    The lock is taken here and lives in the child, so two servers never start two.
    """
    with (folder / "writer.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return subprocess.Popen(
            [sys.executable, "-m", "include.serving.log.writer", str(folder)],
            stdin=subprocess.DEVNULL,
            pass_fds=[lock.fileno()],
        )


class LogWriter:
    """Follows the segments of a spool.

    Writing an id twice keeps the first, so a segment may be read again from its beginning after any accident.
    """

    def __init__(self, folder: Path, sink: Sink) -> None:
        self._folder, self._sink = folder, sink
        self._offsets = {name: offset for name, offset in read_progress(folder).items() if (folder / name).exists()}
        self._decoder = msgspec.json.Decoder(Record)
        self.committed_at = time.monotonic()

    def round(self) -> bool:
        """Commit what is new in every segment, remove those that are complete, and tell whether a server lives.

        Raises:
            one of `UNAVAILABLE`: the sink is away; nothing is lost.
        """
        alive = False
        for segment in sorted(self._folder.glob(f"*{SUFFIX}")):
            with suppress(FileNotFoundError), segment.open("rb", buffering=0) as stream:
                complete = is_abandoned(stream.fileno())  # asked first: what is read after it is all there is
                alive = alive or not complete
                self._commit(segment.name, stream.fileno())
                if complete:
                    segment.unlink()
                    self._offsets.pop(segment.name, None)
        return alive

    def _commit(self, name: str, descriptor: int) -> None:
        offset = self._offsets.get(name, 0)
        while lines := _whole_lines(descriptor, offset):
            refused = self._sink.write([record for line in lines.split(b"\n") if (record := self._decode(name, line))])
            for record, reason in refused:
                self._reject(f"{record.model} {record.id}: {reason}")
            offset += len(lines)
            self._offsets[name] = offset
            self.committed_at = time.monotonic()
            with suppress(OSError):  # a full disk: the servers wait in vain, and the next writer starts further back
                write_progress(self._folder, self._offsets)

    def _decode(self, name: str, line: bytes) -> Record | None:
        if not line:
            return None
        try:
            record: Record = self._decoder.decode(line)
        except ValueError as error:
            self._reject(f"{name}: unreadable line ({error})")
            return None
        return record

    def _reject(self, reason: str) -> None:
        """Write down what could not be recorded; without its values."""
        log.error("%s", reason)
        with suppress(OSError), (self._folder / REJECTED).open("a", encoding="utf-8") as file:
            file.write(reason + "\n")


def _whole_lines(descriptor: int, offset: int) -> bytes:
    """Return the whole lines behind ``offset``, about CHUNK_BYTES of them; a line without an end was never answered."""
    size = CHUNK_BYTES
    while True:
        chunk = os.pread(descriptor, size, offset)
        if (end := chunk.rfind(b"\n") + 1) or len(chunk) < size:
            return chunk[:end]
        size *= 4


def follow(writer: LogWriter) -> None:
    """Commit rounds until no server lives and nothing is left."""
    pause = PAUSE_SECONDS
    while True:
        try:
            alive = writer.round()
        except UNAVAILABLE as error:
            if pause == PAUSE_SECONDS:
                log.warning("the prediction log's sink does not answer; the spool waits (%s)", type(error).__name__)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            if not alive:
                return
            if pause > PAUSE_SECONDS:
                log.warning("the prediction log's sink answers again; the spool is committed")
            pause = PAUSE_SECONDS
        time.sleep(pause)


def leave_when_alone(folder: Path, writer: LogWriter) -> None:
    """End the process when no server lives and nothing can be committed: the sink may hang for good."""
    needed_at = time.monotonic()
    while True:
        time.sleep(1)
        if has_servers(folder) or writer.committed_at > needed_at:
            needed_at = time.monotonic()
        elif time.monotonic() - needed_at > LEAVE_SECONDS:
            log.warning("the prediction log's sink stays away; the spool is kept for the next start")
            os._exit(0)


def main(folder: Path) -> int:
    """Follow the spool in ``folder``; `start` gave this process the lock."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a signal to the whole group: the servers end first, then this
    try:
        platform = load_platform()
        logs.configure(platform.serving.log_format)
        sink = open_sink(platform)
        writer = LogWriter(folder, sink)
        threading.Thread(target=leave_when_alone, args=(folder, writer), daemon=True).start()
        follow(writer)
    except FactoryError as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    sink.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
