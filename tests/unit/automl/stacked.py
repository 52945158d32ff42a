"""Members that a second model can mend, members that it cannot, and what it is judged on."""

from __future__ import annotations

import numpy as np

from include.automl.ensemble.combination import Mean
from include.automl.ensemble.greedy import select
from include.automl.ensemble.guard import Held
from include.evaluation.metrics import metric

Rows = tuple[list[np.ndarray], np.ndarray]
"""What each member answers, and the target."""
METRICS = {2: "log_loss", 3: "log_loss", None: "rmse"}


def drawn(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a class of each row, drawn by its probabilities."""
    return (rng.random(len(shares))[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(max=shares.shape[1] - 1)


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def as_metrics_take(shares: np.ndarray) -> np.ndarray:
    return shares[:, 1] if shares.shape[1] == 2 else shares


def leaning(count: int, classes: int | None, seed: int = 0, scale: float = 2.5, lean: float = 2.0) -> Rows:
    """Return three members whose logits are too large and favour the second class, or whose values are too small."""
    rng = np.random.default_rng(seed)
    if classes is None:
        signal = rng.normal(size=count)
        values = [5 + 0.4 * (signal + rng.normal(scale=0.4, size=count)) for _ in range(3)]
        return values, 5 + signal + rng.normal(scale=0.3, size=count)
    true = rng.normal(scale=1.2, size=(count, classes))
    target = drawn(softmax(true), rng)
    wrong = [scale * (true + rng.normal(scale=0.3, size=true.shape)) + lean * np.eye(classes)[1] for _ in range(3)]
    return [as_metrics_take(softmax(logits)) for logits in wrong], target


def plain(count: int, classes: int | None, seed: int = 0, apart: float = 0.15) -> Rows:
    """Return three members of whom the mean is the truth: nothing beats it but chance."""
    rng = np.random.default_rng(seed)
    if classes is None:
        signal = rng.normal(size=count)
        values = [signal + rng.normal(scale=apart, size=count) for _ in range(3)]
        return values, np.mean(values, axis=0) + rng.normal(size=count)
    true = rng.normal(size=(count, classes))
    shares = [softmax(true + rng.normal(scale=apart, size=true.shape)) for _ in range(3)]
    return [as_metrics_take(one) for one in shares], drawn(np.mean(shares, axis=0), rng)


def held(rows: Rows, classes: int | None, folds: int = 5, name: str = "") -> Held:
    """Return members with the weights that the greedy choice gives them on all rows."""
    outputs, target = rows
    chosen = select(dict(enumerate(outputs)), target, metric(name or METRICS[classes]), 30.0).weights
    weights = tuple(chosen.get(number, 0.0) for number in range(len(outputs)))
    return Held(tuple(outputs), Mean(weights), target, np.arange(len(target)) % folds, classes)
