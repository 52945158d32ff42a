"""Which windows of the prediction log are to be looked at.

Windows are cut by event time and aligned to multiples of their length since Monday 1970-01-05 00:00 UTC. A window is
complete when the *watermark* has reached its end; the watermark is the run's ``as_of``, or the latest event in the log:
the log's own time, so that replayed and delayed traffic is judged as it would have been then. With the latest event as
watermark the last window stays open until an event at or after its end arrives. Rows that arrive later than that do not
reopen a window, unless they (or late labels) make possible a verdict that was not possible before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.store.prediction_log import PredictionLog
from include.store.signals import Window

ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)
"""The first Monday of Unix time."""
LOOKBACK = 52
"""Windows before the watermark that are looked at; older ones are history."""


@dataclass(frozen=True)
class Due:
    """A complete window that is to be analysed.

    Attributes:
        version: the version whose rows are judged.
        rows: rows of that version.
        labelled: those of them whose label is known.
        versions: version → rows, of every version that answered in the window.
    """

    start: datetime
    end: datetime
    version: str
    rows: int
    labelled: int
    versions: Mapping[str, int]


def window_start(moment: datetime, length: timedelta) -> datetime:
    """Return the start of the window of ``length`` that holds ``moment``."""
    return ORIGIN + (moment - ORIGIN) // length * length


def window_label(start: datetime, length: timedelta) -> str:
    """Return a name for the window's folder: its date, with the time when windows are not whole days."""
    return start.strftime("%Y-%m-%d" if length % timedelta(days=1) == timedelta(0) else "%Y-%m-%dT%H%M%S")


def judged_version(counts: Mapping[str, tuple[int, int]], champion: str, min_rows: int) -> str:
    """Return the version whose rows are judged: the champion if it answered enough, else the one that answered most."""
    if counts.get(champion, (0, 0))[0] >= min_rows:
        return champion
    return max(counts, key=lambda version: (counts[version][0], version))


def due_windows(
    log: PredictionLog,
    recorded: list[Window],
    model: str,
    run: str,
    champion: str,
    length: timedelta,
    min_rows: int,
    as_of: datetime | None = None,
) -> list[Due]:
    """Return the complete windows that are to be analysed, oldest first.

    These are the ones that no run has analysed yet, those that this very run has (a retried run ends the same), and
    those that can be judged now and could not before.

    Args:
        log: the prediction log.
        recorded: the model's windows that were analysed before.
        model: the model's name.
        run: the name of the monitoring run.
        champion: version of the current champion.
        length: length of a window.
        min_rows: rows below which there is no verdict.
        as_of: the watermark; the latest event when None.
    """
    known = {window.start: window for window in recorded}
    due = []
    for start in _complete(log, model, length, as_of):
        counts = log.counts(model, start, start + length)
        version = judged_version(counts, champion, min_rows)
        rows, labelled = counts[version]
        window = Due(start, start + length, version, rows, labelled, {name: count[0] for name, count in counts.items()})
        before = known.get(start)
        if before is None or before.run == run or _gains_a_verdict(before, window, min_rows):
            due.append(window)
    return due


def _complete(log: PredictionLog, model: str, length: timedelta, as_of: datetime | None) -> Iterator[datetime]:
    """Yield the starts of the complete windows that hold predictions, oldest first."""
    latest = log.latest_event(model)
    if latest is None:
        return
    watermark = latest if as_of is None else as_of
    cursor = window_start(min(watermark, latest), length) - LOOKBACK * length
    while (event := log.earliest_event(model, since=cursor)) is not None:
        start = window_start(event, length)
        if start + length > watermark:
            return
        yield start
        cursor = start + length


def _gains_a_verdict(before: Window, now: Due, min_rows: int) -> bool:
    if before.version != now.version:
        return False
    labelled_before = before.evidence.get("labelled", 0)
    return before.rows < min_rows <= now.rows or labelled_before < min_rows <= now.labelled
