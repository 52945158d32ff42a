"""Shapley values of any model, by sampling: how its answer changes as a typical row becomes the caller's.

Baseline Shapley values (Sundararajan and Najmi 2020, "The many Shapley values for model explanation") by sampled orders
of the features, each taken forwards and backwards (Castro et al. 2009; Mitchell et al. 2022, "Sampling permutations for
Shapley value estimation"). Whatever the orders, base value plus contributions is exactly what the model puts out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from include.inference.scorer import Row, Scorer

if TYPE_CHECKING:
    from include.inference.scorer import Array

ORDERS = 8
"""Orders that are drawn, each of which is taken in both directions."""
MOST_ROWS = 4096
"""Rows that are scored together."""


class Sampled:
    """Explains the answers of one scorer against one reference row. Threads may share it.

    Args:
        scorer: what answers.
        reference: a typical row, in the manifest's order.
        classifies: whether it answers with probabilities.
        seed: of the orders, which are the same for every row.
    """

    def __init__(self, scorer: Scorer, reference: Row, classifies: bool, seed: int = 0) -> None:
        import numpy as np

        self._scorer, self._reference, self._classifies = scorer, tuple(reference), classifies
        rng = np.random.default_rng(seed)
        drawn = [rng.permutation(len(reference)) for _ in range(ORDERS)]
        self._orders = [order for one in drawn for order in (one, one[::-1])]
        self._base = self._answers([self._reference])[0]

    def __call__(self, rows: Sequence[Row]) -> tuple[Array, Array]:
        """Return base (outputs,) and contributions (rows, features, outputs)."""
        import numpy as np

        return self._base, np.stack([self._contributions(row) for row in rows])

    def _contributions(self, row: Row) -> Array:
        import numpy as np

        differ = np.array([not _same(a, b) for a, b in zip(row, self._reference, strict=True)], dtype=bool)
        total = np.zeros((len(row), len(self._base)))
        paths = [[place for place in order.tolist() if differ[place]] for order in self._orders]
        if not differ.any():
            return total
        answers = self._answers([step for path in paths for step in self._steps(row, path)])
        length = int(differ.sum())
        for number, path in enumerate(paths):
            reached = np.vstack([self._base, answers[number * length : (number + 1) * length]])
            total[path] += np.diff(reached, axis=0)
        mean: Array = total / len(paths)
        return mean

    def _steps(self, row: Row, path: Sequence[int]) -> list[Row]:
        """Return the rows on the way from the reference to ``row``, the reference left out."""
        values, steps = list(self._reference), []
        for place in path:
            values[place] = row[place]
            steps.append(tuple(values))
        return steps

    def _answers(self, rows: Sequence[Row]) -> Array:
        """Return values or probabilities, shape (rows, outputs): of two classes the second one's alone."""
        import numpy as np

        parts = [self._scorer.score(rows[at : at + MOST_ROWS]) for at in range(0, len(rows), MOST_ROWS)]
        answers = np.concatenate(parts)
        if not self._classifies:
            return answers[:, None]
        return answers[:, 1:] if answers.shape[1] == 2 else answers


def _same(one: object, other: object) -> bool:
    """Tell whether two values are equal, missing ones too."""
    return one == other or (one != one and other != other)
