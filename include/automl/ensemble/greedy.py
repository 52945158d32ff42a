"""Greedy selection of an ensemble on out-of-fold predictions.

Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble selection from libraries of models": begin with the best one,
add again and again, with replacement, the one that helps the mean of all most; how often each was taken is its weight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from include.automl.folds import Array
from include.features.objective import Objective

STEPS = 40
"""Models that are added at most."""
ROWS = 20_000
"""Rows on which they are judged; more tell hardly more, and cost time."""
PATIENCE = 12
"""Steps without a better ensemble after which no more are tried."""
LEAST_GAIN = 1e-4
"""What an ensemble must gain over a smaller one, as a share of the score's own deviation among the candidates or of the
score: below that it is noise, and costs time of every prediction."""


@dataclass(frozen=True)
class Selection:
    """An ensemble of candidates.

    Attributes:
        weights: weight of each chosen candidate by its key; they sum to 1.
        score: what the objective says of the ensemble's out-of-fold predictions.
    """

    weights: dict[int, float]
    score: float


def select(
    candidates: Mapping[int, Array],
    target: Array,
    objective: Objective,
    seconds: float,
    seed: int = 0,
    weights: Array | None = None,
) -> Selection:
    """Choose weights for ``candidates``.

    Args:
        candidates: out-of-fold outputs by key, of the same rows, shaped as `include.automl.bench.outputs_of` gives
            them; the best one first.
        target: the rows' codes or values, shape (rows,).
        objective: what is optimised.
        seconds: after this long it ends with what it has.
        seed: of the draw of rows, where there are many.
        weights: how much each row counts, shape (rows,); the same when None.
    """
    deadline = time.monotonic() + seconds
    keys = [key for key, outputs in candidates.items() if np.isfinite(outputs).all()]
    outputs = np.stack([candidates[key] for key in keys])
    if len(target) > ROWS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(target), ROWS, replace=False))
        outputs, target, weights = outputs[:, drawn], target[drawn], None if weights is None else weights[drawn]
    sign = 1.0 if objective.greater_is_better else -1.0

    def score(one: Array) -> float:
        return sign * _finite(objective(target, one, weights))

    judged = [score(one) for one in outputs]
    first = int(np.argmax(judged))
    counts = np.zeros(len(keys), dtype=int)
    counts[first] = 1
    total, reached = outputs[first].copy(), judged[first]
    best, best_score, stale = counts.copy(), reached, 0
    least = LEAST_GAIN * (abs(reached) or 1.0)
    for taken in range(1, STEPS):
        step = _step(outputs, total, taken, score, deadline)
        if step is None:
            break
        added, reached = step
        counts[added] += 1
        total += outputs[added]
        if reached > best_score + (least if np.count_nonzero(counts) > np.count_nonzero(best) else 0.0):
            best, best_score, stale = counts.copy(), reached, 0
        else:
            stale += 1
            if stale >= PATIENCE:
                break
    shares = {key: float(count / best.sum()) for key, count in zip(keys, best, strict=True) if count}
    return Selection(shares, sign * best_score)


def _step(
    outputs: Array, total: Array, taken: int, score: Callable[[Array], float], deadline: float
) -> tuple[int, float] | None:
    """Return the candidate that helps most and the score with it; None when time is up."""
    scores = np.full(len(outputs), -np.inf)
    for index, one in enumerate(outputs):
        if time.monotonic() > deadline:
            return None
        scores[index] = score((total + one) / (taken + 1))
    best = int(np.argmax(scores))
    return best, float(scores[best])


def _finite(score: float) -> float:
    return score if np.isfinite(score) else -np.inf
