"""From a validated table to prepared rows: target, columns, split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.leaks import find_leaks
from include.features.parsing import parse
from include.features.prepared import Prepared
from include.features.schema import Schema, detect, read, wanted_columns
from include.features.sides import sides
from include.features.splitting import (
    Split,
    group_codes,
    split_as_before,
    split_at_random,
    split_by_group,
    split_by_time,
)
from include.features.target import Target, encode_target
from include.features.weights import read_weights
from include.specs.errors import FactoryError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from include.specs.model import ModelSpec

    Array = np.ndarray[Any, Any]

LEAST_TRAIN, LEAST_TEST = 2, 1
"""Rows that each class needs: cross-validation must see a class in every fold's training rows."""


MOST_GROUPS = 30
"""Groups of a column that a search may be asked to treat alike."""


class PreparationError(FactoryError):
    """The table cannot be made into training and held-out rows."""


@dataclass(frozen=True)
class Preparation:
    """What `prepare_rows` did.

    Attributes:
        prepared: the rows.
        schema: fields, dropped columns, notes.
        split: which rows went where; positions in the table of usable rows.
        set_aside: reason → number of rows that could not be used.
    """

    prepared: Prepared
    schema: Schema
    split: Split
    set_aside: dict[str, int]


def prepare_rows(frame: pd.DataFrame, spec: ModelSpec, ordered: bool, champion: Prepared | None = None) -> Preparation:
    """Encode the target, choose the columns and hold rows out.

    Args:
        frame: the validated table.
        spec: the model's spec.
        ordered: the rows lie in time order even though ``spec.data.time`` may be absent.
        champion: what the champion was trained on and judged by; rows that are not split by time keep their side.

    Raises:
        SpecError: the spec names columns that are not there.
        FactoryError: target, columns or rows do not allow a model; the message says why and what to do.
    """
    frame = _named(frame)
    if spec.problem.target not in frame.columns:
        detect(frame, spec)  # raises with every column that the spec names wrongly
    target = encode_target(frame[spec.problem.target], spec.problem)
    times = _times(frame, spec, ordered)
    timed = target.known if times is None else target.known & ~np.isnat(times)
    weights = _weights(frame, spec, timed)
    usable = timed if weights is None else timed & (weights > 0)
    set_aside = _set_aside(target.known, timed, usable, spec)
    rows = frame[usable].reset_index(drop=True)
    if len(rows) < spec.data.min_rows:
        raise PreparationError(
            f"{len(rows)} rows with a target are left, data.min_rows asks for {spec.data.min_rows}; bring more data, "
            "widen data.window, or lower data.min_rows"
        )
    schema = detect(rows, spec)
    if not schema.fields:
        reasons = "; ".join(f"'{name}' {reason}" for name, reason in schema.dropped.items())
        raise PreparationError(f"no column is left as a feature: {reasons}")
    y = target.values[usable[target.known]]
    groups = group_codes(rows[spec.data.group]) if spec.data.group in rows.columns else None
    temporal = ordered or times is not None
    before = None if champion is None or temporal else sides(champion, rows, y, target.classes)
    split = _split(spec, y, None if times is None else times[usable], groups, temporal, before)
    _enough(target, y, split, spec)
    audit = {name: _groups_of(rows[name]) for name in spec.search.groups}
    features = read(rows, schema.fields)
    schema = _without_leaks(schema, features.iloc[split.train], y[split.train], spec)
    features = features[[field.name for field in schema.fields]]
    prepared = Prepared(
        task=spec.problem.type,
        fields=schema.fields,
        classes=target.classes,
        train=features.iloc[split.train].reset_index(drop=True),
        train_target=y[split.train],
        test=features.iloc[split.test].reset_index(drop=True),
        test_target=y[split.test],
        train_groups=groups[split.train] if groups is not None else None,
        ordered=temporal,
        train_weights=weights[usable][split.train] if weights is not None else None,
        test_weights=weights[usable][split.test] if weights is not None else None,
        train_audit={name: groups[split.train] for name, groups in audit.items()},
        test_audit={name: groups[split.test] for name, groups in audit.items()},
    )
    return Preparation(prepared, schema, split, set_aside)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` with text for names.

    Raises:
        PreparationError: two columns have the same name.
    """
    names = [str(name) for name in frame.columns]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        shown = ", ".join(f"{names.count(name)} columns are called '{name}'" for name in twice[:3])
        raise PreparationError(f"{shown}; give each column a name of its own")
    return frame.set_axis(names, axis=1)


def _without_leaks(schema: Schema, rows: pd.DataFrame, y: Array, spec: ModelSpec) -> Schema:
    """Drop the columns that give the target away, as training rows show; what the spec names is kept, and told."""
    asked = wanted_columns(spec)
    leaks = find_leaks(rows, schema.fields, y, spec.problem.type, spec.search.seed)
    dropped = {name: reason for name, reason in leaks.columns.items() if name not in asked}
    kept = tuple(field for field in schema.fields if field.name not in dropped)
    if not kept:  # nothing else could be learnt from
        kept, dropped = schema.fields, {}
    told = tuple(f"{name}: {reason}" for name, reason in leaks.columns.items() if name not in dropped)
    return replace(schema, fields=kept, dropped=schema.dropped | dropped, notes=(*schema.notes, *leaks.notes, *told))


def _times(frame: pd.DataFrame, spec: ModelSpec, ordered: bool) -> Array | None:
    """Return the event times as datetime64[ns], or None where the table has none.

    Raises:
        PreparationError: the column is missing or holds no times.
    """
    if spec.data.time is None or (ordered and spec.data.time not in frame.columns):
        return None
    if spec.data.time not in frame.columns:
        hint = did_you_mean(spec.data.time, map(str, frame.columns))
        raise PreparationError(f"data.time: there is no column '{spec.data.time}'; {hint}")
    parsed = parse(frame[spec.data.time], "datetime")
    if parsed.values.isna().all():
        raise PreparationError(
            f"data.time: column '{spec.data.time}' holds no times; write them as 2026-03-31T12:00:00Z"
        )
    times: Array = parsed.values.to_numpy("datetime64[ns]")
    return times


def _weights(frame: pd.DataFrame, spec: ModelSpec, wanted: Array) -> Array | None:
    """Return the weight of each row, NaN beyond the ``wanted`` ones; None where the spec names no column.

    Raises:
        SpecError: there is no such column.
        WeightError: a wanted row has none that could be used.
    """
    if spec.problem.weight is None:
        return None
    if spec.problem.weight not in frame.columns:
        detect(frame, spec)  # raises with every column that the spec names wrongly
    weights = np.full(len(frame), np.nan)
    if wanted.any():
        weights[wanted] = read_weights(frame.loc[wanted, spec.problem.weight])
    return weights


def _groups_of(column: pd.Series) -> Array:
    """Return the group of each row as text; a missing value is a group.

    Raises:
        PreparationError: there are too many, or there is one only.
    """
    texts: Array = column.astype(object).where(column.notna(), "(missing)").astype(str).to_numpy()
    if not 2 <= (count := len(np.unique(texts))) <= MOST_GROUPS:
        raise PreparationError(
            f"search.objectives: column '{column.name}' has {count} groups, between 2 and {MOST_GROUPS} can be "
            "compared; name another column, or put its values into groups"
        )
    return texts


def _set_aside(known: Array, timed: Array, usable: Array, spec: ModelSpec) -> dict[str, int]:
    counts = {
        f"no target ('{spec.problem.target}')": int((~known).sum()),
        f"no readable time ('{spec.data.time}')": int((known & ~timed).sum()),
        f"a weight of 0 ('{spec.problem.weight}')": int((timed & ~usable).sum()),
    }
    return {reason: count for reason, count in counts.items() if count}


def _split(
    spec: ModelSpec, y: Array, times: Array | None, groups: Array | None, temporal: bool, before: Array | None
) -> Split:
    share, classifier = spec.search.test_share, spec.problem.type != "regression"
    if temporal:
        return split_by_time(times, len(y), share, groups)
    if before is not None and (split := split_as_before(before, y, classifier, share, spec.search.seed, groups)):
        return split
    if groups is not None:
        return split_by_group(groups, y, classifier, share, spec.search.seed)
    return split_at_random(y, classifier, share, spec.search.seed)


def _enough(target: Target, y: Array, split: Split, spec: ModelSpec) -> None:
    """Refuse a split that leaves a side without rows of a class."""
    if target.classes is None:
        return
    remedy = "bring more data, change search.test_share" + (", or widen data.window" if spec.data.window else "")
    for side, rows, least in (("training", split.train, LEAST_TRAIN), ("held-out", split.test, LEAST_TEST)):
        counts = Counter(y[rows].tolist())
        rare = {label: counts[code] for code, label in enumerate(target.classes) if counts[code] < least}
        if rare and (side == "training" or spec.problem.type == "binary" or len(counts) < 2):
            shown = ", ".join(f"{label!r}: {count}" for label, count in rare.items())
            raise PreparationError(
                f"too few {side} rows of a class of '{spec.problem.target}' ({shown}; split: {split.how}); {remedy}"
            )
