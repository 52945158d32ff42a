"""What an algorithm family is. A family of one's own is one file with one subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from include.specs.training import TASKS, Task

if TYPE_CHECKING:
    from include.features.plan import View

Array = np.ndarray[Any, np.dtype[Any]]
Params = dict[str, Any]
"""JSON-ready hyperparameters of a family, by name."""


class Space(Protocol):
    """What a family draws its hyperparameters from; an Optuna trial has the same methods."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number of [low, high], on a logarithmic scale when ``log``."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a whole number of [low, high], on a logarithmic scale when ``log``."""

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        """Return one of ``choices``: strings, numbers, booleans or None."""


@dataclass(frozen=True)
class Rows:
    """What a model is fitted on, or judged by while it is fitted.

    Attributes:
        values: float32 matrix without missing values, shape (rows, outputs of the feature plan).
        target: codes 0 … n-1 of classes, or values; shape (rows,).
        weights: weight of each row, or None where all weigh the same; shape (rows,).
    """

    values: Array
    target: Array
    weights: Array | None = None


@dataclass(frozen=True)
class Conditions:
    """Under which conditions a model is fitted.

    Attributes:
        held: rows that tell a boosted or gradient-trained model when to stop; None when there are none to spare: the
            configuration's number of rounds then holds.
        seconds: after this long a model that grows in rounds stops where it is; None when it may take its time.
        metric: name of the metric that is wanted (`include.evaluation.metrics`); a family that can stop by it, or
            learn it, does.
        monotone: for each column 1 where the output may only rise with it, -1 where it may only fall, else 0; empty
            when nothing is asked. Only families with `can_be_monotone` are asked.
        device: ``cpu``, or ``cuda`` where the spec asks for it.
    """

    held: Rows | None = None
    seconds: float | None = None
    metric: str = ""
    monotone: Sequence[int] = ()
    device: str = "cpu"


class Family(ABC):
    """One kind of estimator, what may be tuned about it, and how it is built.

    Every family passes `tests.unit.automl.family_contract.FamilyContract`.
    """

    name: ClassVar[str]
    """Name in specs and leaderboards."""
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    """Tasks that it can learn."""
    view: ClassVar[View] = "trees"
    """How it wants to see the rows."""
    can_be_monotone: ClassVar[bool] = False
    """Whether it can keep to `Conditions.monotone`."""

    uses_gpu: ClassVar[bool] = False
    """Whether it follows `Conditions.device`."""

    def can_see_gpu(self, devices: int) -> bool:
        """Tell whether its library would use one of so many CUDA ``devices`` of this machine."""
        return self.uses_gpu and devices > 0

    @abstractmethod
    def defaults(self, task: Task) -> Params:
        """Return the configuration that is tried first: inside the space of `sample`, with the same names."""

    def portfolio(self, task: Task) -> tuple[Params, ...]:
        """Return good and different configurations, the best first; all lie inside the space of `sample`."""
        return (self.defaults(task),)

    @abstractmethod
    def sample(self, space: Space, task: Task) -> Params:
        """Draw a configuration from ``space``."""

    @abstractmethod
    def build(self, params: Params, task: Task, seed: int, threads: int) -> Any:
        """Return an unfitted scikit-learn estimator for a float32 matrix without missing values.

        Args:
            params: a configuration, as `sample` or `defaults` gives it.
            task: what is learnt; targets of classifiers are codes 0 … n-1.
            seed: of every random choice.
            threads: most threads that fitting may use.
        """

    def fit(self, estimator: Any, rows: Rows, conditions: Conditions) -> Any:
        """Fit what `build` returned and return it.

        A family that grows in rounds stops early on ``conditions.held``, and after ``conditions.seconds``; the
        estimator then answers with the rounds that were best.

        Raises:
            FactoryError: the rows do not suit this family (too many for it, say); the search goes on without.
        """
        if rows.weights is None:
            return estimator.fit(rows.values, rows.target)
        return estimator.fit(rows.values, rows.target, sample_weight=rows.weights)

    def settled(self, params: Params, estimators: Sequence[Any]) -> Params:
        """Return ``params`` for a fit without held rows, after ``estimators`` were fitted with them.

        A family that stops early puts the number of rounds that it stopped at in the place of the most allowed.
        """
        return params

    def for_serving(self, estimator: Any) -> Any:
        """Return the fitted estimator as it should be served: one row at a time, on one thread."""
        if "n_jobs" in estimator.get_params(deep=False):
            estimator.set_params(n_jobs=1)
        return estimator
