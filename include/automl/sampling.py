"""Whose turn it is, how configurations are drawn, and what Optuna calls their parameters."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.automl.bench import Configuration
from include.automl.record import Record

if TYPE_CHECKING:
    import optuna

STARTUP = 8
"""Trials before the median may prune and the sampler leaves random search."""

NEXT_SHARE = 0.7
"""Of the time that a family is due, what the next best one is due."""
_BESIDE = 0.5
"""Seconds that a trial is reckoned to cost beside its fits: a family whose fits take none must not get every turn."""


@dataclass(frozen=True)
class Prefixed:
    """An Optuna trial in which every name bears its family's: two families may call different things the same."""

    trial: optuna.Trial
    family: str

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number of [low, high], on a logarithmic scale when ``log``."""
        return float(self.trial.suggest_float(f"{self.family}.{name}", low, high, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a number of [low, high], on a logarithmic scale when ``log``."""
        return int(self.trial.suggest_int(f"{self.family}.{name}", low, high, log=log))

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        """Return one of ``choices``."""
        return self.trial.suggest_categorical(f"{self.family}.{name}", choices)


def flat(configuration: Configuration) -> dict[str, Any]:
    """Return a configuration as Optuna keeps it."""
    named = {f"{configuration.family}.{name}": value for name, value in configuration.params.items()}
    return {"family": configuration.family, **named}


def next_family(best: Sequence[Record], seconds: Mapping[str, float], untried: Collection[str]) -> str | None:
    """Return the family that had least of the time that it is due; None where none can be said.

    TPE alone would soon try nothing but the family of the best trial, and turns of trials would give most of the time
    to what is slow. An ensemble gains more from several families that have been tuned, the quick and good ones most.

    Args:
        best: the trials that are done, the best first; the better a family's best one, the more it is due.
        seconds: family → what its trials took.
        untried: families that have configurations to be tried, whether a trial of theirs is done or not.
    """
    ranked = list(dict.fromkeys([*(record.configuration.family for record in best), *untried]))
    due = {family: NEXT_SHARE**rank for rank, family in enumerate(ranked)}
    return min(ranked, key=lambda family: seconds.get(family, 0.0) / due[family], default=None)


def taken(trials: Sequence[optuna.trial.FrozenTrial]) -> dict[str, float]:
    """Return what the trials of each family took so far; those apart that were interrupted."""
    found: dict[str, float] = defaultdict(float)
    for trial in trials:
        known = trial.system_attrs.get("fixed_params", {}) | trial.params
        if (trial.state.is_finished() and "record" not in trial.user_attrs) or trial.datetime_start is None:
            continue
        took = (trial.datetime_complete or datetime.now()) - trial.datetime_start
        found[known.get("family", "")] += _BESIDE + took.total_seconds()
    return found


def sampler(seed: int) -> Any:
    """Return the sampler of a search: TPE, of one objective or of several."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # 'group': a space for each family
        return optuna.samplers.TPESampler(
            multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP, seed=seed
        )
