"""Which side of the split a row has been on: the champion must not be judged on rows that it was trained on.

A row is known by its content: the features that both tables have, and the target. Of rows with the same content none
can be told from another, so they are counted: of five copies of which the champion was trained on four, four stay
training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.parsing import parse
from include.store.packages import Field, typed

if TYPE_CHECKING:
    import pandas as pd

    from include.features.prepared import Prepared

    Array = np.ndarray[Any, Any]

NEW, TRAINED, HELD = -1, 0, 1
"""What an earlier model made of a row: it did not have it, was trained on it, or was judged by it."""


def sides(earlier: Prepared, rows: pd.DataFrame, target: Array, classes: Sequence[Any] | None) -> Array:
    """Return `NEW`, `TRAINED` or `HELD` for each row, int8, shape (rows,).

    Args:
        earlier: what an earlier model was trained on and judged by.
        rows: a table, typed or as it was read; columns that it lacks are not compared.
        target: codes into ``classes``, or values, shape (rows,).
        classes: labels behind the codes; None for a regression.
    """
    fields = [field for field in earlier.fields if field.name in rows.columns]
    found = np.full(len(rows), NEW, dtype=np.int8)
    if not fields or (classes is None) != (earlier.classes is None):
        return found
    keys = _keys(_read(rows, fields), target, classes)
    trained, held = _counts(earlier, fields)
    names, places, copies = np.unique(keys, return_inverse=True, return_counts=True)
    was_trained, was_held = (_looked_up(names, known) for known in (trained, held))
    known = np.minimum(copies, was_trained + was_held)  # where copies have gone, as many of each side
    kept_held = np.rint(known * was_held / np.maximum(1, was_trained + was_held)).astype(np.int64)
    number = _numbered(places)
    found[number < known[places]] = HELD
    found[number < (known - kept_held)[places]] = TRAINED
    return found


def trained_on(earlier: Prepared, prepared: Prepared) -> Array:
    """Return which held-out rows of ``prepared`` the earlier model was trained on, bool, shape (held-out rows,).

    Of rows with the same content as few are meant as there can be: those that it was not judged by, and that are not
    more than it had.
    """
    here = {field.name: field.type for field in prepared.fields}
    fields = [field for field in earlier.fields if here.get(field.name) == field.type]
    if not fields or (prepared.classes is None) != (earlier.classes is None):
        return np.zeros(len(prepared.test), dtype=bool)
    keys = _keys(typed(prepared.test, fields), prepared.test_target, prepared.classes)
    names, places, now_held = np.unique(keys, return_inverse=True, return_counts=True)
    was_trained, was_held = (_looked_up(names, known) for known in _counts(earlier, fields))
    now_trained = _looked_up(names, _counts(prepared, fields)[0])
    new = np.maximum(0, now_trained + now_held - was_trained - was_held)
    seen = np.clip(now_held - was_held - new, 0, np.minimum(now_held, was_trained))
    return np.asarray(_numbered(places) < seen[places])


_Counts = tuple["Array", "Array"]
"""Distinct keys, sorted, and how often each occurs."""


def _counts(prepared: Prepared, fields: Sequence[Field]) -> tuple[_Counts, _Counts]:
    """Return the keys of training rows and of held-out rows."""
    train = _keys(typed(prepared.train, fields), prepared.train_target, prepared.classes)
    test = _keys(typed(prepared.test, fields), prepared.test_target, prepared.classes)
    return np.unique(train, return_counts=True), np.unique(test, return_counts=True)


def _looked_up(names: Array, known: _Counts) -> Array:
    """Return how often each of ``names`` occurs among what is known."""
    keys, counts = known
    if not len(keys):
        return np.zeros(len(names), dtype=np.int64)
    place = np.minimum(np.searchsorted(keys, names), len(keys) - 1)
    return np.asarray(np.where(keys[place] == names, counts[place], 0))


def _numbered(places: Array) -> Array:
    """Return for each row how many rows of the same key come before it."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.searchsorted(ordered, ordered)
    number = np.empty(len(places), dtype=np.int64)
    number[order] = np.arange(len(places)) - starts
    return number


def _read(rows: pd.DataFrame, fields: Sequence[Field]) -> pd.DataFrame:
    """Return the columns of ``fields``, typed; what cannot be read is missing."""
    import pandas as pd

    columns = {field.name: parse(rows[field.name], field.type, field.writing).values for field in fields}
    return typed(pd.DataFrame(columns, index=rows.index), fields)


def _keys(rows: pd.DataFrame, target: Array, classes: Sequence[Any] | None) -> Array:
    """Return a hash of each row's content, uint64, shape (rows,)."""
    import pandas as pd

    labels = np.asarray(target, dtype=np.float64) if classes is None else _texts(classes)[target]
    columns = {str(place): _plain(rows[name]) for place, name in enumerate(rows.columns)}
    whole = pd.DataFrame({**columns, "target": labels})
    keys: Array = pd.util.hash_pandas_object(whole, index=False).to_numpy()
    return keys


def _plain(values: pd.Series) -> Array:
    """Return a typed column in one spelling: no negative zero, and times as callers can send them."""
    if values.dtype.kind == "f":
        return np.asarray(values.to_numpy() + 0.0)
    if values.dtype == object:
        return np.asarray(values.to_numpy())
    return np.asarray(values.to_numpy("datetime64[us]").astype("datetime64[ns]"))


def _texts(classes: Sequence[Any]) -> Array:
    """Return labels as text: a file, a database and JSON write 1, 1.0, true and "1" for the same thing."""
    return np.array([str(int(label)) if _is_whole(label) else str(label) for label in classes], dtype=object)


def _is_whole(label: Any) -> bool:
    return isinstance(label, bool | np.bool_) or (isinstance(label, float) and label.is_integer())
