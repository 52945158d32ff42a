"""How configurations are drawn, and what Optuna calls their parameters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.bench import Configuration
from include.automl.record import Record

if TYPE_CHECKING:
    import optuna

STARTUP = 8
"""Trials before the median may prune and the sampler leaves random search."""


BEST_SHARE = 0.5
"""Share of the trials that the best family gets; the next one gets as large a share of the rest, and so on."""


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


def next_family(best: Sequence[Record], seed: int) -> str | None:
    """Draw the family that is tried next; None where no trial is done.

    TPE alone would soon try nothing but the family of the best trial. An ensemble gains more from several families
    that have been tuned.

    Args:
        best: the trials that are done, the best first.
        seed: of the draw.
    """
    families = list(dict.fromkeys(record.configuration.family for record in best))
    if not families:
        return None
    shares = BEST_SHARE ** np.arange(len(families))
    return families[np.random.default_rng(seed).choice(len(families), p=shares / shares.sum())]


def sampler(seed: int) -> Any:
    """Return the sampler of a search: TPE, of one objective or of several."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # 'group': a space for each family
        return optuna.samplers.TPESampler(
            multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP, seed=seed
        )
