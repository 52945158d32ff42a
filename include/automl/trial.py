"""A trial under way in a worker, one fold after the other, and what it leaves of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.bench import Bench, Configuration, FoldResult
from include.automl.costs import Answered, costs_of, served
from include.automl.ensemble.assemble import FittedPart, model_file, oof_file, plan_file, store
from include.automl.families import find_family
from include.automl.folds import Array
from include.automl.record import FoldDone

if TYPE_CHECKING:
    from include.inference.choice import Candidate


@dataclass(frozen=True)
class FoldFiles:
    """What is kept of a fold: the held rows' positions and outputs; the model and its plan where they may answer.

    ``factors`` are those of `include.automl.bench.FoldResult`, of all classes: NaN for one that was not there.
    """

    held: Array
    outputs: Array
    factors: Array | None
    part: FittedPart | None
    plan: Any

    def keep(self, scratch: Path, number: int, fold: int, configuration: Configuration) -> None:
        """Write it into the scratch folder of the search, each file whole or not at all."""
        more = {} if self.factors is None else {"factors": self.factors}
        _save(oof_file(scratch, number, fold), rows=self.held, outputs=self.outputs, **more)
        if self.part is not None:
            store(model_file(scratch, number, fold), self.part)
            if not (file := plan_file(scratch, fold, configuration.plan)).exists():
                store(file, self.plan)


class Trial:
    """Cross-validates one configuration.

    Args:
        bench: the rows.
        configuration: what is fitted.
        threads: most threads of a fit.
        loaded: seconds that loading the rows took.
        folds: only so many folds.
        seconds: that a fit may take, where its family can stop.
    """

    def __init__(
        self,
        bench: Bench,
        configuration: Configuration,
        threads: int,
        loaded: float,
        folds: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self._bench, self._configuration = bench, configuration
        self._threads, self._loaded, self._seconds = threads, loaded, seconds
        self._folds = bench.folds[:folds]
        self._fitted: list[Any] = []
        self._answered: list[tuple[Array, Array]] = []
        self._served: Candidate | None = None

    def next(self) -> tuple[FoldDone, FoldFiles]:
        """Fit and score the next fold."""
        bench, number = self._bench, len(self._fitted)
        fit, held = self._folds[number]
        found = bench.score(self._configuration, number, self._threads, self._seconds)
        self._fitted.append(found.estimator)
        family = find_family(self._configuration.family)
        rows, last = len(bench.prepared.train), number == len(self._folds) - 1
        done = FoldDone(
            score=found.score,
            fit_seconds=found.fit_seconds,
            refit_seconds=self._loaded + rows / len(fit) * (found.plan_seconds + found.fit_seconds),
            last=last,
            folds=len(bench.folds),
            answers=bench.answers,
            settled=family.settled(self._configuration.params, self._fitted),
            costs=self._costs(found, held, last),
        )
        part = FittedPart(found.estimator, found.present) if bench.answers != "refit" else None
        plan = bench.plan(number, self._configuration.plan) if bench.answers != "refit" else None
        return done, FoldFiles(held, found.outputs, self._of_all_classes(found), part, plan)

    def _of_all_classes(self, found: FoldResult) -> Array | None:
        if found.factors is None or found.present is None:
            return found.factors
        factors = np.full(len(self._bench.prepared.classes or ()), np.nan)
        factors[found.present] = found.factors
        return factors

    def _costs(self, found: FoldResult, held: Array, last: bool) -> dict[str, float]:
        """Return the objectives beside the metric: what serving the first fold's model costs, what differs of all."""
        bench, options = self._bench, self._bench.options
        if not options.costs:
            return {}
        if self._served is None:
            family = find_family(self._configuration.family)
            plan = bench.plan(len(self._fitted) - 1, self._configuration.plan)
            self._served = served(family, found.estimator, plan, bench.prepared, options.packaging)
        self._answered.append((held, found.outputs))
        rows, outputs = (np.concatenate([fold[side] for fold in self._answered]) for side in (0, 1))
        return costs_of(options.costs, self._served, bench.prepared, Answered(rows, outputs), last)


@dataclass(frozen=True)
class RefitFiles:
    """What is kept of a fit on all rows."""

    part: FittedPart
    plan: Any

    def keep(self, scratch: Path, number: int, configuration: Configuration) -> None:
        """Write it into the scratch folder of the search."""
        store(plan_file(scratch, None, configuration.plan), self.plan)
        store(model_file(scratch, number, None), self.part)


def refit(bench: Bench, configuration: Configuration, threads: int, seconds: float | None = None) -> RefitFiles:
    """Fit a configuration on all training rows."""
    model = bench.refit(configuration, threads, seconds)
    return RefitFiles(FittedPart(model, None), bench.plan(None, configuration.plan))


def _save(file: Path, **arrays: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez(temporary, **arrays)
    temporary.replace(file)
