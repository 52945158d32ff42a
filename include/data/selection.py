"""Which rows a training run learns from: of the source, of the labelled prediction log, or of both; and since when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Literal

import pandas as pd

from include.data.frames import as_kind, kind_of, normalise, to_times
from include.data.problems import error
from include.data.source import Source
from include.data.sources import open_source
from include.specs import ModelSpec, Platform
from include.specs.params import TrainingParams
from include.store.prediction_log import PredictionLog

Origin = Literal["source", "log", "both"]
RETRAINING = "model_retraining"
LEAST_SENT = 0.5
"""Share of logged rows that must have a column, be it empty, for the log to be joined to the source by it."""


@dataclass(frozen=True)
class Selection:
    """The rows of a training run.

    Attributes:
        frame: normalised rows, oldest first where ``ordered``.
        origin: where they came from.
        ordered: whether their order is that of time; rows of a source without times have none.
        first_event, last_event: the span of the event times; None where rows have none.
        note: what a person should know about the choice; empty when all went as the spec says.
    """

    frame: pd.DataFrame
    origin: Origin
    ordered: bool
    first_event: datetime | None
    last_event: datetime | None
    note: str = ""


def select(spec: ModelSpec, platform: Platform, pipeline: str, params: TrainingParams) -> Selection:
    """Return the rows that a run of ``pipeline`` learns from.

    The window is that of ``params``; else the spec's (``data.window``, or ``retraining.window``), counted back from the
    latest event. A retraining whose window holds fewer than ``data.min_rows`` rows uses every row instead and says so.

    Raises:
        SpecError: the source cannot be read or holds no such rows, or there are no labelled predictions.
        TemporarilyUnavailableError: the source's or the factory's database does not answer.
    """
    if params.data_start and params.data_end and params.data_start >= params.data_end:
        message = f"data_start ({params.data_start}) is not before data_end ({params.data_end})"
        raise error(spec, "parameters", message, "correct the trigger form")
    if pipeline != RETRAINING:
        return _from_source(spec, open_source(spec, platform), params)
    if (origin := spec.retraining.data) == "source" and spec.data.time is None:
        return Selection(open_source(spec, platform).read(), origin, False, None, None)
    if origin == "source":
        frame = open_source(spec, platform).read()
        return _cut(spec, frame, frame[spec.data.time], origin, params)
    frame, times = _logged(spec, platform, LEAST_SENT if origin == "both" else 0.0)
    if origin == "both":
        frame, times = _joined(spec, open_source(spec, platform).read(), frame, times)
    return _cut(spec, frame, times, origin, params)


def _from_source(spec: ModelSpec, source: Source, params: TrainingParams) -> Selection:
    if spec.data.time is None:
        if params.data_start or params.data_end:
            raise error(spec, "data.time", "a data window was asked for", "name the column with the event time")
        return Selection(source.read(), "source", False, None, None)
    start, end = params.data_start, params.data_end
    window = spec.data.window
    if start is None and window is not None and (latest := end or source.latest_event()) is not None:
        start = latest - window
    frame = source.read(start, end)
    return _ordered(spec, frame, frame[spec.data.time], "source")


def _cut(spec: ModelSpec, frame: pd.DataFrame, times: pd.Series, origin: Origin, params: TrainingParams) -> Selection:
    """Return the rows inside the retraining window; rows without a time are older than any window."""
    everything = pd.Series(True, index=times.index)
    inside = times < params.data_end if params.data_end else everything
    window = spec.retraining.window or spec.data.window
    start = params.data_start
    if start is None and window is not None and pd.notna(latest := times[inside].max()):
        start = (params.data_end or latest) - window
    recent = inside & (times >= start) if start is not None else inside
    kept, note = int(recent.sum()), ""
    if kept < spec.data.min_rows and kept < len(frame):
        if params.data_start or params.data_end:
            message = f"the window of the trigger form holds {kept} rows, fewer than data.min_rows"
            raise error(spec, "parameters", message, "choose a wider one")
        note = f"only {kept} rows since {start}, fewer than data.min_rows ({spec.data.min_rows}): all rows are used"
        recent = everything
    return _ordered(spec, frame[recent], times[recent], origin, note)


def _ordered(spec: ModelSpec, frame: pd.DataFrame, times: pd.Series, origin: Origin, note: str = "") -> Selection:
    """Return the rows sorted by time, then id; rows without a time first, in the order that they have."""
    keys = pd.DataFrame({"time": times.to_numpy()})
    if spec.data.id in frame.columns:
        keys["id"] = frame[spec.data.id].astype(str).to_numpy()
    order = keys.sort_values(list(keys.columns), kind="stable", na_position="first").index
    first, last = times.min(), times.max()
    return Selection(
        frame.iloc[order].reset_index(drop=True),
        origin,
        spec.data.time is not None or not times.isna().any(),
        None if pd.isna(first) else first.to_pydatetime(),
        None if pd.isna(last) else last.to_pydatetime(),
        note,
    )


def _logged(spec: ModelSpec, platform: Platform, least_sent: float) -> tuple[pd.DataFrame, pd.Series]:
    """Return the labelled predictions as rows like the source's, and their event times.

    Columns that callers sent with fewer than ``least_sent`` of the rows are left out.
    """
    log = PredictionLog(platform).frame(spec.name, labelled_only=True)
    if log.empty:
        fix = f"send labels to /v1/models/{spec.name}/feedback, or set retraining.data to 'source'"
        raise error(spec, "retraining.data", "the prediction log holds no labelled predictions of this model", fix)
    times = to_times(normalise(log[["event_time"]])["event_time"])
    rows = pd.DataFrame.from_records(log["features"].tolist())
    sent = Counter(chain.from_iterable(log["features"]))
    rows = rows[[name for name in rows.columns if sent[name] >= least_sent * len(rows)]].copy()
    rows[spec.problem.target] = log["label"]
    for column in {spec.data.id, spec.data.group} - {None, *rows.columns}:
        rows[column] = log["id"]  # the caller sent none: each prediction is an entity of its own
    if spec.problem.weight is not None and spec.problem.weight not in rows:
        rows[spec.problem.weight] = 1.0  # the caller sent none: each prediction counts once
    for column in {*spec.search.groups} - {*rows.columns}:
        rows[column] = None
    rows = normalise(rows)
    if spec.data.time is not None:
        rows[spec.data.time] = times
    return rows, times


def _joined(
    spec: ModelSpec, source: pd.DataFrame, logged: pd.DataFrame, times: pd.Series
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the source's rows and then the log's, and the event times of both.

    Only columns that both have: in one that was never served, or mostly left out because no model read it, a missing
    value would tell the log's rows from the source's, and by that something of their labels. A row that both have, with
    the same label, is the log's alone.
    """
    source = source[[name for name in source.columns if name in logged.columns]]
    if spec.data.time is None:
        source_times = pd.Series(pd.NaT, index=source.index, dtype=times.dtype)
    else:
        source_times = source[spec.data.time]
    columns = {}
    for name in source.columns:
        old, new = source[name], logged[name]
        if name in (spec.data.id, spec.data.group) and kind_of(old) != kind_of(new):
            old = as_kind(old, "string")
        columns[name] = pd.concat([old, as_kind(new, kind_of(old))], ignore_index=True)
    joined, joined_times = pd.DataFrame(columns), pd.concat([source_times, times], ignore_index=True)
    told_apart_by = [name for name in source.columns if name not in (spec.data.id, spec.data.group, spec.data.time)]
    rows = pd.util.hash_pandas_object(joined[told_apart_by], index=False)
    kept = ~rows.isin(rows[len(source) :]) | (joined.index >= len(source))
    return normalise(joined[kept]), joined_times[kept].reset_index(drop=True)


def describe(selection: Selection) -> str:
    """Return one phrase that says which rows these are."""
    span = f" from {selection.first_event:%Y-%m-%d} to {selection.last_event:%Y-%m-%d}" if selection.last_event else ""
    what = {"source": "the source", "log": "the prediction log", "both": "source and prediction log"}[selection.origin]
    return f"{len(selection.frame)} rows of {what}{span}"
