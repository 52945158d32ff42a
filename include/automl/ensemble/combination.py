"""How members answer together: by the weighted mean of what each of them says, or through a second model over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.automl.bench import wide
from include.automl.folds import Array
from include.inference.stack import pooled


@dataclass(frozen=True)
class Mean:
    """The weighted mean of the members' outputs.

    Attributes:
        weights: of each member; they sum to 1.
    """

    weights: tuple[float, ...]

    @property
    def biases(self) -> tuple[float, ...]:
        """None: nothing is added."""
        return ()

    def apply(self, outputs: Sequence[Array]) -> Array:
        """Return outputs from those of each member, all of one shape and as metrics take them."""
        return np.asarray(sum(weight * found for weight, found in zip(self.weights, outputs, strict=True)))


@dataclass(frozen=True)
class Stack:
    """A second model over the members; see `include.inference.stack`.

    Attributes:
        weights: of each member, at least 0; they need not sum to 1.
        biases: what is added to the logit of each class, the first one 0; of a regression to the value.
    """

    weights: tuple[float, ...]
    biases: tuple[float, ...]

    def apply(self, outputs: Sequence[Array]) -> Array:
        """Return outputs from those of each member, all of one shape and as metrics take them."""
        if len(self.biases) == 1:
            return np.asarray(Mean(self.weights).apply(outputs) + self.biases[0])
        found = pooled(map(wide, outputs), self.weights, np.ones(len(self.biases)), np.array(self.biases))
        return found[:, 1] if outputs[0].ndim == 1 else found

    def of(self, places: Sequence[int]) -> Stack:
        """Return the same over some of the members."""
        return Stack(tuple(self.weights[place] for place in places), self.biases)


Combination = Mean | Stack
