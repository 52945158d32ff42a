"""The server's end of the prediction log: appends to the spool, and keeps a log writer running."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b

from include.serving.log import writer as log_writer
from include.serving.log.spool import SUFFIX, Position, Spool, has_servers, read_progress, sizes
from include.serving.observability import metrics
from include.specs import Platform
from include.store.log_records import PredictionRecord, Record
from include.store.log_sinks import open_sink

log = logging.getLogger(__name__)
DRAIN_SECONDS = 10.0
LOOK_SECONDS = 0.02


class Recorder:
    """Records what was answered; never raises for a full disk or a dead database, and never waits for them.

    Raises:
        FactoryError: ``serving.log_uri`` cannot be read.
    """

    def __init__(self, platform: Platform) -> None:
        open_sink(platform)  # a wrong setting is told now, by the server
        self._settings = platform.serving
        self._folder = platform.home / "spool"
        self._spool = Spool(self._folder, int(self._settings.max_spool_mb * (1 << 20)))
        self._committed: dict[str, int] = {}
        self._looked_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        everything = self._settings.log_sample == 1 and not self._settings.log_samples
        self.append = self._spool.append if everything else self._append_sample

    def start(self) -> None:
        """Keep the spool forced to the disk and a log writer at work, in a thread."""
        self._keeper = threading.Thread(target=self._keep, name="log-keeper", daemon=True)
        self._keeper.start()

    async def stop(self) -> None:
        """Let the log writer commit what this server wrote, and wait for it; what it cannot commit stays spooled."""
        if self._keeper:
            self._stopping.set()
            await asyncio.to_thread(self._keeper.join)
        await asyncio.to_thread(self._sync, close=True)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._is_left() and time.monotonic() < deadline:
            self._watch()
            await asyncio.sleep(LOOK_SECONDS)
        if self._is_left():
            log.warning("the prediction log's sink is too slow; what it does not have yet stays in %s", self._folder)
        elif self._process and not has_servers(self._folder):
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, 2)

    async def settle(self, position: Position | None, seconds: float) -> None:
        """Wait until the record that ends at ``position`` is committed, but no longer than ``seconds``."""
        deadline = time.monotonic() + seconds
        while position and not self._is_committed(position) and time.monotonic() < deadline:  # noqa: ASYNC110 - for another process
            await asyncio.sleep(LOOK_SECONDS)

    def backlog(self) -> int:
        """Return the spooled bytes, of all servers of this home, that are not committed yet."""
        committed = self._progress()
        return sum(size - committed.get(name, 0) for name, size in sizes(self._folder).items())

    def _append_sample(self, records: Sequence[Record]) -> Position | None:
        """Append labels, rewards, and the predictions whose ids the sample holds."""
        kept = [record for record in records if not isinstance(record, PredictionRecord) or self._samples(record)]
        if left_out := len(records) - len(kept):
            metrics.LOG_SAMPLED_OUT.inc(left_out)
        return self._spool.append(kept) if kept else self._spool.position

    def _samples(self, record: PredictionRecord) -> bool:
        """Tell by the id alone whether a prediction is recorded: the same today and tomorrow, here and elsewhere."""
        share = self._settings.log_samples.get(record.model, self._settings.log_sample)
        return share > 0 and (share >= 1 or place(record.id) < share)

    def _progress(self) -> dict[str, int]:
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at, self._committed = now, read_progress(self._folder)
        return self._committed

    def _is_committed(self, position: Position) -> bool:
        name, offset = position
        return self._progress().get(name, 0) >= offset or not (self._folder / name).exists()

    def _is_left(self) -> bool:
        return any(name.endswith(f"-{os.getpid()}{SUFFIX}") for name in sizes(self._folder))

    # In the keeper's thread

    def _keep(self) -> None:
        self._watch()  # it loads its libraries while this process loads the models
        while not self._stopping.wait(self._settings.log_sync_seconds):
            self._sync()
            self._watch()

    def _sync(self, close: bool = False) -> None:
        try:
            if close:
                self._spool.close()
            else:
                self._spool.sync()
        except OSError as error:
            log.error("the spool could not be forced to the disk: %s", error)  # noqa: TRY400

    def _watch(self) -> None:
        """Start the log writer where none works; another server's may have died, or may have ended with it."""
        if self._process and (code := self._process.poll()) is not None:
            self._process = None
            if code:
                log.error("the log writer ended with code %d; starting it again", code)
                metrics.LOG_RESTARTS.inc()
        if self._process is None:
            try:
                self._process = log_writer.start(self._folder)
            except OSError as error:
                log.error("the log writer cannot be started: %s", error)  # noqa: TRY400


def place(name: str) -> float:
    """Return the place of an id in [0, 1); it knows nothing of the place that chooses a variant."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=7, person=b"log-sample").digest()
    return int.from_bytes(digest) / (1 << 56)
