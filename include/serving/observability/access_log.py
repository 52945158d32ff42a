"""The access log: a line a request, written together every moment, so that a request pays an append to a list."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from datetime import UTC, datetime
from time import time
from typing import NamedTuple

log = logging.getLogger(__name__)
FLUSH_SECONDS = 0.25
MOST_WAITING = 20_000
"""Lines that may wait for a slow terminal; more are counted, and their number is logged."""


class Access(NamedTuple):
    """One answered request; the path is the endpoint's template, so that it holds nothing that a caller chose."""

    at: float
    request_id: str
    method: str
    path: str
    status: int
    milliseconds: float
    rows: int
    caller: str


class AccessLog:
    """Collects what was answered and writes it in the background.

    Args:
        descriptor: where the lines go.
        as_json: JSON objects instead of lines for people.
    """

    def __init__(self, descriptor: int, as_json: bool) -> None:
        self._descriptor, self._line = descriptor, _json_line if as_json else _text_line
        self._waiting: list[Access] = []
        self._dropped = 0

    def note(
        self, request_id: str, method: str, path: str, status: int, milliseconds: float, rows: int, caller: str
    ) -> None:
        """Keep one request for the next writing."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(Access(time(), request_id, method, path, status, milliseconds, rows, caller))
        else:
            self._dropped += 1

    async def follow(self) -> None:
        """Write what has come together, again and again; the rest when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                if self._waiting:
                    await asyncio.to_thread(self.flush)
        finally:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        dropped, self._dropped = self._dropped, 0
        data = "".join(map(self._line, waiting)).encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            log.warning("the access log cannot be written: %s", error.strerror)
        if dropped:
            log.warning("%d lines of the access log were dropped: they came faster than they could be written", dropped)


def _json_line(entry: Access) -> str:
    fields = {
        "time": _time(entry.at),
        "level": "INFO",
        "logger": "access",
        "message": f"{entry.method} {entry.path} {entry.status}",
        "pid": os.getpid(),
        "request_id": entry.request_id,
        "method": entry.method,
        "path": entry.path,
        "status": entry.status,
        "ms": round(entry.milliseconds, 3),
        "rows": entry.rows,
        "caller": entry.caller,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _text_line(entry: Access) -> str:
    return (
        f"{_time(entry.at)} INFO access: {entry.method} {entry.path} {entry.status} {entry.milliseconds:.3f} ms "
        f"{entry.rows} rows by {entry.caller} [request_id={entry.request_id}]\n"
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
