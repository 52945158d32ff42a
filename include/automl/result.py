"""What a search is to do, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.bench import Configuration
from include.automl.costs import Cost
from include.automl.ensemble.calibration import Calibration
from include.automl.ensemble.combination import Stack
from include.automl.ensemble.guard import Verdict
from include.automl.folds import Array
from include.automl.pool import MakePool, Pool
from include.automl.record import Record
from include.features.objective import Objective
from include.specs import FactoryError

if TYPE_CHECKING:
    from include.specs import ModelSpec

ENSEMBLE = "ensemble"
"""Algorithm of a model that several trials went into."""


class SearchError(FactoryError):
    """No family could be fitted."""


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes:
        data: folder of the prepared rows.
        spec: the model's spec.
        objective: what is optimised.
        budget: seconds, the final model included.
        storage: path of Optuna's journal file, or a SQLAlchemy URI.
        scratch: folder that outlives a killed search, for out-of-fold predictions and fitted models.
        name: the same name, storage and scratch go on with a search that was killed.
        first: configurations to try first; the families' portfolio when empty.
        max_trials: stop after this many; the spec's when None.
        place: which of several search steps this is, from 1; None for the one that does all, or that comes last.
        neighbours: search steps that share the cores of this machine.
        make_pool: makes the workers.
        costs: what is optimised beside the objective.
        may_stack: whether a second model over the members may be tried.
    """

    data: Path
    spec: ModelSpec
    objective: Objective
    budget: float
    storage: str
    scratch: Path
    name: str
    first: Sequence[Configuration] = ()
    max_trials: int | None = None
    place: int | None = None
    neighbours: int = 1
    make_pool: MakePool = Pool
    costs: tuple[Cost, ...] = ()
    may_stack: bool = True

    @property
    def ensemble(self) -> bool:
        """Whether several trials may answer together: not where a cost has no bound that they would have to keep."""
        return self.spec.search.ensemble and all(cost.bound is not None for cost in self.costs)


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for training rows by models that had not seen them.

    Attributes:
        rows: positions of the rows; with ordered rows the oldest ones have none.
        folds: fold of each row.
        outputs: probability of the positive class, (rows, classes), or values.
    """

    rows: Array
    folds: Array
    outputs: Array


@dataclass(frozen=True)
class Member:
    """A trial that went into the final model, and its share of the weights."""

    record: Record
    weight: float


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        members: the trials that the final model is made of, the heaviest first; their weights sum to 1.
        bagged: whether each of them answers by the models of its folds, rather than by one that was fitted on all rows.
        calibration: what is done to the probabilities.
        scores: score of the final model's out-of-fold predictions on each fold.
        file: the final model with its feature plans; an sklearn Pipeline saved by skops in the plan's scratch folder.
        oof: the final model's out-of-fold predictions.
        records: every trial, by number.
        seconds: wall-clock seconds of the search, of a killed one before it too.
        notes: what a person should know besides, one sentence each.
        costs: names of the objectives beside the metric.
        front: numbers of the trials on the Pareto front, the best by the metric first; empty with one objective.
        verdict: whether a second model over the members was taken, and why; None where there was nothing to stack.
    """

    members: tuple[Member, ...]
    bagged: bool
    calibration: Calibration
    scores: tuple[float, ...]
    file: Path
    oof: OutOfFold
    records: list[Record]
    seconds: float
    notes: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    front: tuple[int, ...] = ()
    verdict: Verdict | None = None

    @property
    def stack(self) -> Stack | None:
        """The second model, with a weight of each member in their order; None where they answer by their mean."""
        return self.verdict.stack if self.verdict else None

    @property
    def winner(self) -> Record:
        """The trial with the largest weight."""
        return self.members[0].record

    @property
    def mean(self) -> float:
        """Mean score over the folds."""
        return float(np.mean(self.scores))

    @property
    def std(self) -> float | None:
        """Standard deviation of the scores over the folds; None for a single fold."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @property
    def algorithm(self) -> str:
        """The family, or `ENSEMBLE` where several trials went into the model."""
        return self.winner.configuration.family if len(self.members) == 1 else ENSEMBLE

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the only trial, or family, parameters and weight of each one: what a refit begins with.

        Of a stack its weights and biases too, which a refit finds anew.
        """
        only, stack = self.winner.configuration, self.stack
        if len(self.members) == 1 and not (only.generated or only.left_out or stack):
            return only.params
        members = {"members": [_document(member) for member in self.members]}
        if stack is None:
            return members
        return {**members, "stack": {"weights": _shown(stack.weights), "biases": _shown(stack.biases)}}


def configurations(algorithm: str, parameters: dict[str, Any]) -> tuple[Configuration, ...]:
    """Return the configurations that `SearchResult.algorithm` and `SearchResult.parameters` stand for."""
    if "members" not in parameters:
        return (Configuration(algorithm, parameters),)
    return tuple(Configuration.of(member) for member in parameters["members"])


def _shown(numbers: Sequence[float]) -> list[float]:
    return [float(f"{number:.4g}") for number in numbers]


def _document(member: Member) -> dict[str, Any]:
    kept = {name: value for name, value in asdict(member.record.configuration).items() if value or name == "params"}
    return {**kept, "weight": round(member.weight, 4)}
