"""What an algorithm family is. A family of one's own is one file with one subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from include.specs.training import TASKS, Task

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


class Family(ABC):
    """One kind of estimator, what may be tuned about it, and how it is built.

    Every family passes `tests.unit.automl.family_contract.FamilyContract`.
    """

    name: ClassVar[str]
    """Name in specs and leaderboards."""
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    """Tasks that it can learn."""
    needs_scaling: ClassVar[bool] = False
    """Whether its features must be brought to one scale."""

    @abstractmethod
    def defaults(self, task: Task) -> Params:
        """Return the configuration that is tried first: inside the space of `sample`, with the same names."""

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

    def for_serving(self, estimator: Any) -> Any:
        """Return the fitted estimator as it should be served: one row at a time, on one thread."""
        if "n_jobs" in estimator.get_params(deep=False):
            estimator.set_params(n_jobs=1)
        return estimator
