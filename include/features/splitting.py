"""Held-out rows: the latest ones when the data has a time, whole groups when it has groups, else a stratified draw.

Rows and groups that are drawn keep the side that they were on when the champion was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.features.sides import HELD, NEW, TRAINED
from include.specs.errors import FactoryError

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, Any]

_GROUP_DRAWS = 20
"""Draws of groups that are tried until both sides hold every class."""


class SplitError(FactoryError):
    """The rows cannot be divided into training and held-out rows."""


@dataclass(frozen=True)
class Split:
    """Positions of rows.

    Attributes:
        train: positions of the training rows; oldest first when the split is by time.
        test: positions of the held-out rows, likewise.
        how: what was done, for a person.
    """

    train: Array
    test: Array
    how: str


def split_by_time(times: Array | None, rows: int, share: float, groups: Array | None = None) -> Split:
    """Hold out the latest ``share`` of rows; rows of the same time stay on one side.

    Args:
        times: time of each row, datetime64, shape (rows,); None when the rows already lie in time order.
        rows: number of rows.
        share: share to hold out.
        groups: group of each row; training rows of a group that is held out too are left out, so that neither time nor
            group leaks.

    Raises:
        SplitError: all rows have the same time, or every training row belongs to a held-out group.
    """
    moments = np.arange(rows) if times is None else times
    order = np.argsort(moments, kind="stable")
    ordered = moments[order]
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # where a new time begins: the only places to cut
    if not len(starts):
        raise SplitError("every row has the same time; correct data.time, or leave it out to split at random")
    cut = int(starts[np.argmin(np.abs(starts - rows * (1 - share)))])
    train, test = order[:cut], order[cut:]
    how = f"the latest {len(test)} of {rows} rows by time"
    if groups is None:
        return Split(train, test, how)
    kept = train[~np.isin(groups[train], groups[test])]
    if not len(kept):
        raise SplitError(
            "every group has held-out rows, so that no training row is left; leave out data.group or data.time"
        )
    return Split(kept, test, f"{how}; {len(train) - len(kept)} earlier rows of their groups left out of training")


def split_by_group(groups: Array, y: Array, classifier: bool, share: float, seed: int) -> Split:
    """Hold out about ``share`` of the groups, drawn at random, so that no group lies on both sides.

    Raises:
        SplitError: there is one group only.
    """
    from sklearn.model_selection import GroupShuffleSplit

    if (count := len(np.unique(groups))) < 2:
        raise SplitError("data.group has one group only; leave it out, or name another column")
    draws = list(GroupShuffleSplit(_GROUP_DRAWS, test_size=share, random_state=seed).split(y, groups=groups))
    classes = len(np.unique(y))
    whole = [draw for draw in draws if not classifier or min(len(np.unique(y[side])) for side in draw) == classes]
    train, test = (whole or draws)[0]
    return Split(train, test, f"{len(np.unique(groups[test]))} of {count} groups at random")


def split_at_random(y: Array, classifier: bool, share: float, seed: int) -> Split:
    """Hold out ``share`` of the rows at random, with the same share of each class; rows keep their order.

    Raises:
        SplitError: a class has a single row.
    """
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(
            np.arange(len(y)), test_size=share, random_state=seed, stratify=y if classifier else None
        )
    except ValueError as error:
        raise SplitError(f"the rows cannot be split with every class on both sides: {error}") from error
    return Split(np.sort(train), np.sort(test), "a stratified random draw" if classifier else "a random draw")


def split_as_before(
    sides: Array, y: Array, classifier: bool, share: float, seed: int, groups: Array | None = None
) -> Split | None:
    """Leave rows on the side that they have been on, and hold out ``share`` of the new ones, drawn at random.

    Args:
        sides: of each row, as `include.features.sides.sides` gives them, shape (rows,).
        y: targets; the new rows of each class are drawn with the same share.
        classifier: whether they are classes.
        share: share of the new rows to hold out.
        seed: of the draw.
        groups: group of each row; one stays where most of its known rows were, and new ones are drawn whole.

    Returns:
        The split; None where no row is known, or a side would be empty.
    """
    if (sides == NEW).all():
        return None
    rng = np.random.default_rng(seed)
    if groups is None:
        held = _drawn(sides, y if classifier else np.zeros(len(y)), share, rng)
    else:
        names, places = np.unique(groups, return_inverse=True)
        trained, kept = (np.bincount(places[sides == side], minlength=len(names)) for side in (TRAINED, HELD))
        of_groups = np.where(trained + kept == 0, NEW, np.where(kept > trained, HELD, TRAINED))
        held = _drawn(of_groups, np.zeros(len(names)), share, rng)[places]
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    if not len(train) or not len(test):
        return None
    new = int((sides == NEW).sum())
    what = "rows" if groups is None else "groups of rows"
    return Split(
        train, test, f"{what} stay on the side on which they were for the champion; of {new} new rows a random draw"
    )


def _drawn(sides: Array, strata: Array, share: float, rng: np.random.Generator) -> Array:
    """Return what is held out, bool: what was so before, and ``share`` of what is new in each stratum."""
    held: Array = sides == HELD
    for stratum in np.unique(strata):
        new = rng.permutation(np.flatnonzero((sides == NEW) & (strata == stratum)))
        held[new[: round(share * len(new))]] = True
    return held


def group_codes(column: pd.Series) -> Array:
    """Return a code for each row's group; a row without one is a group of its own."""
    import pandas as pd

    factors, names = pd.factorize(column)
    codes: Array = factors.astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(names) + np.arange(len(alone))
    return codes
