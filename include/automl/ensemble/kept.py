"""What the trials of a search left in its scratch folder: predictions of each fold, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from include.automl.ensemble.assemble import Part, model_file, oof_file
from include.automl.ensemble.combination import Combination
from include.automl.ensemble.prior import together
from include.automl.folds import Array
from include.automl.record import Record
from include.automl.result import Member, OutOfFold

HeldOutputs = tuple[Array, Array]
"""Positions of the rows that a fold held, and what was predicted for them."""


@dataclass(frozen=True)
class Kept:
    """The scratch folder of a search."""

    scratch: Path

    def has_predictions(self, record: Record) -> bool:
        """Tell whether the predictions of every fold of a trial are there."""
        return all(file.exists() for file in self._files(record))

    def has_models(self, record: Record) -> bool:
        """Tell whether the model of every fold that there is, is there."""
        folds = range(len(record.scores))
        return len(folds) == record.folds and all(
            model_file(self.scratch, record.number, fold).exists() for fold in folds
        )

    def folds(self, record: Record) -> list[HeldOutputs]:
        """Return what a trial predicted for the held rows of each fold."""
        folds = []
        for file in self._files(record):
            with np.load(file) as kept:
                folds.append((kept["rows"], kept["outputs"]))
        return folds

    def combined(self, members: Sequence[Member], combination: Combination) -> list[HeldOutputs]:
        """Return what the members together predicted for the held rows of each fold."""
        mine = [self.folds(member.record) for member in members]
        return [(fold[0][0], combination.apply([found for _, found in fold])) for fold in zip(*mine, strict=True)]

    def parts(self, record: Record, weight: float, bagged: bool) -> list[Part]:
        """Return the models that a trial answers by: those of its folds, or the one that was fitted on all rows.

        Each of several gets an equal part of its ``weight``.
        """
        number, configuration = record.number, record.configuration
        folds: list[int | None] = list(range(len(record.scores))) if bagged else [None]
        found = self._factors(record)
        factors = [None] * len(folds) if found is None else found if bagged else [together(found)]
        return [
            Part(number, fold, configuration, weight / len(folds), by if by is None else tuple(by.tolist()))
            for fold, by in zip(folds, factors, strict=True)
        ]

    def _files(self, record: Record) -> list[Path]:
        return [oof_file(self.scratch, record.number, fold) for fold in range(len(record.scores))]

    def _factors(self, record: Record) -> list[Array] | None:
        """Return what undid the weights of classes in each fold of a trial; None where classes had none."""
        found = []
        for file in self._files(record):
            with np.load(file) as kept:
                if "factors" not in kept:
                    return None
                found.append(kept["factors"])
        return found


def merged(folds: Sequence[HeldOutputs], rows: int) -> OutOfFold:
    """Return predictions by row, of ``rows``; of a row that several folds held, the mean."""
    counts, places = np.zeros(rows), np.full(rows, -1)
    totals = np.zeros((rows, *folds[0][1].shape[1:]))
    for fold, (held, found) in reversed(list(enumerate(folds))):
        totals[held] += found
        counts[held] += 1
        places[held] = fold
    known = np.flatnonzero(counts)
    shape = (-1,) + (1,) * (totals.ndim - 1)
    return OutOfFold(known, places[known], totals[known] / counts[known].reshape(shape))
