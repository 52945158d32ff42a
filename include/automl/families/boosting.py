"""What the boosted families share: when they stop, by what, and how many rounds they keep."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from include.automl.families.base import Conditions, Family, Params, Rows

Measure = Literal["roc_auc", "average_precision", "log_loss", "rmse", "mae"]
_OF_TWO: dict[str, Measure] = {"roc_auc": "roc_auc", "average_precision": "average_precision"}
_OF_VALUES: dict[str, Measure] = {"mae": "mae", "median_ae": "mae"}
ENOUGH = 1e-4
"""Share by which a round must be better than the best one before to count: less is not worth its trees."""
LARGER_IS_BETTER: tuple[Measure, ...] = ("roc_auc", "average_precision")


class Boosted(Family):
    """A family that grows in rounds: ``rounds`` of a configuration is the most that it may take."""

    can_be_monotone = True
    most_rounds: ClassVar[int]
    """``rounds`` of every configuration: early stopping finds how many are needed, so that none need be drawn."""

    @abstractmethod
    def rounds_of(self, estimator: Any) -> int:
        """Return how many rounds the fitted ``estimator`` has kept."""

    def settled(self, params: Params, estimators: Sequence[Any]) -> Params:
        """Return ``params`` with the mean number of rounds that ``estimators`` kept."""
        if not estimators:
            return params
        return {**params, "rounds": max(1, round(float(np.mean([self.rounds_of(one) for one in estimators]))))}


class Watch:
    """Says after each round whether to stop: no better one for a while, or no time left.

    Args:
        step: of the rounds: the smaller it is, the more of them may pass without a better one.
        seconds: time from now, or None.
    """

    def __init__(self, step: float, seconds: float | None) -> None:
        self.patience = patience(step)
        self.ends = None if seconds is None else time.monotonic() + seconds
        self.best_round, self.best = -1, -np.inf

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return self.ends is not None and time.monotonic() > self.ends

    def stops(self, number: int, value: float) -> bool:
        """Take what round ``number``, counted from 0, scored (greater is better); return whether to stop after it."""
        if self.best_round < 0 or value > self.best + ENOUGH * abs(self.best):
            self.best_round, self.best = number, value
        return number - self.best_round >= self.patience or self.late


def patience(step: float) -> int:
    """Return after how many rounds without a better one to stop: 30 at a step of 0.3, 220 at 0.01."""
    return 20 + min(200, round(3 / step))


def measure(rows: Rows, conditions: Conditions, classifies: bool) -> Measure:
    """Return by what the held rows tell when to stop: the wanted metric where it can be had at each round.

    Metrics of labels jump from round to round, so that their models stop by the loss; so does what needs two classes
    where the held rows have only one.
    """
    if not classifies:
        return _OF_VALUES.get(conditions.metric, "rmse")
    held = None if conditions.held is None else np.unique(conditions.held.target)
    two = held is not None and len(held) == 2 and len(np.unique(rows.target)) == 2
    return _OF_TWO.get(conditions.metric, "log_loss") if two else "log_loss"


def learns_absolute(by: Measure, conditions: Conditions) -> bool:
    """Tell whether absolute errors are learnt: with monotone constraints squared ones are.

    Leaves take the median of their rows after they have grown, without regard to the constraints.
    """
    return by == "mae" and not any(conditions.monotone)


def monotone(conditions: Conditions) -> list[int] | None:
    """Return the monotone constraints, one a column; None when there are none."""
    return [int(sign) for sign in conditions.monotone] if any(conditions.monotone) else None
