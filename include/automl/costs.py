"""What a trial costs beside its score: time of a row, size, differences between groups of rows."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from include.automl.families import Family
from include.automl.folds import Array
from include.specs import FactoryError
from include.specs.training import Packaging, SearchObjective
from include.store.packages import ESTIMATOR, Manifest, ModelPackage, save_estimator

if TYPE_CHECKING:
    from include.features.prepared import Prepared
    from include.inference.choice import Candidate

ROWS = 100
"""Rows on which a trial's runtimes are compared and timed."""
_FEW_DIFFER = 0.02
"""Share of them that may differ: of so few, a single one must not decide."""


class GroupMeasure(Protocol):
    """A difference between groups; `include.evaluation.fairness.BetweenGroups` is one."""

    def __call__(
        self,
        target: Array,
        outputs: Array,
        groups: Array,
        weights: Array | None = None,
        threshold: float | None = None,
    ) -> float:
        """Return the difference, NaN where it is not defined; arrays of shape (rows,), outputs as metrics take them."""


@dataclass(frozen=True)
class Cost:
    """One objective of a search beside its metric; the smaller the better.

    Attributes:
        objective: as the spec has it.
        measure: of a difference between groups.
    """

    objective: SearchObjective
    measure: GroupMeasure | None = None

    @property
    def name(self) -> str:
        """Its name, with the column whose groups it is about."""
        return self.objective.name

    @property
    def bound(self) -> float | None:
        """Most that it may be."""
        return self.objective.max


@dataclass(frozen=True)
class Answered:
    """What a model answered for training rows that it was not fitted on: their positions, and outputs."""

    rows: Array
    outputs: Array
    threshold: float | None = None


def costs_of(
    costs: Sequence[Cost], served: Candidate, prepared: Prepared, answered: Answered, last: bool = True
) -> dict[str, float]:
    """Return each cost by its name.

    Args:
        costs: the objectives.
        served: what was measured of the runtime that serves.
        prepared: the rows.
        answered: out-of-fold predictions.
        last: whether they are all there will be; until then what is not defined is infinite.

    Raises:
        FactoryError: a difference is not defined on these rows.
    """
    found = {"latency_ms": served.one_ms, "size_mb": served.size_mb}
    values: dict[str, float] = {}
    for cost in costs:
        value = found.get(cost.objective.metric)
        if cost.measure is not None and cost.objective.group is not None:
            groups, weights = prepared.train_audit[cost.objective.group], prepared.train_weights
            value = cost.measure(
                prepared.train_target[answered.rows],
                answered.outputs,
                groups[answered.rows],
                None if weights is None else weights[answered.rows],
                answered.threshold,
            )
        if value is None or not math.isfinite(value):
            if last:
                raise FactoryError(f"{cost.name} is not defined on these rows; name a column of fewer, larger groups")
            value = math.inf
        values[cost.name] = float(value)
    return values


def served(family: Family, estimator: Any, plan: Any, prepared: Prepared, packaging: Packaging) -> Candidate:
    """Return what a row of a fitted trial costs in the runtime that would serve it: the fastest faithful one.

    Args:
        family: of the estimator.
        estimator: fitted; it is left as it is.
        plan: its fitted feature plan.
        prepared: the rows; `ROWS` of them are answered.
        packaging: as the spec has it.
    """
    from sklearn.pipeline import Pipeline

    from include.inference.choose import choose_runtime
    from include.inference.frames import rows_of

    manifest = Manifest(
        model="trial",
        task=prepared.task,
        target="target",
        features=prepared.fields,
        classes=prepared.classes,
        algorithm=family.name,
        run="search",
        trained_at=datetime.now(UTC),
    )
    model = Pipeline([("features", plan), ("model", family.for_serving(copy.deepcopy(estimator)))])
    places = np.linspace(0, len(prepared.train) - 1, min(ROWS, len(prepared.train))).astype(int)
    rows = rows_of(prepared.train.iloc[places], prepared.fields)
    differ = max(packaging.max_different_share, _FEW_DIFFER)
    with tempfile.TemporaryDirectory(prefix="factory-") as folder:
        save_estimator(Path(folder) / ESTIMATOR, model)
        asked = packaging.model_copy(update={"max_different_share": differ})
        choice = choose_runtime(Path(folder), ModelPackage(manifest, model), rows, asked)
    return next(one for one in choice.candidates if one.runtime == choice.runtime)
