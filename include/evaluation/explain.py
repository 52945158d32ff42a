"""Which columns a model rests on: permutation importance (Breiman 2001, "Random forests", section 10)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.bench import outputs_of
from include.evaluation.metrics import Array, metric

if TYPE_CHECKING:
    import pandas as pd

ROWS, REPEATS, SECONDS = 2000, 5, 10.0


def permutation_importance(
    estimator: Any,
    frame: pd.DataFrame,
    target: Array,
    name: str,
    rows: int = ROWS,
    repeats: int = REPEATS,
    seconds: float = SECONDS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return by how much metric ``name`` gets worse when a column is shuffled, the most important column first.

    Args:
        estimator: the fitted pipeline.
        frame: held-out rows, as the pipeline takes them.
        target: their codes or values.
        name: the metric.
        rows: most rows to use, drawn at random.
        repeats: shuffles of each column.
        seconds: no further round of shuffles is begun after this long; the first one is always made whole.
        seed: of the draw and the shuffles.

    Returns:
        One ``{"feature", "importance", "std"}`` a column; ``std`` over the shuffles. All are 0 where the metric is not
        defined on the rows.
    """
    rng = np.random.default_rng(seed)
    if len(frame) > rows:
        chosen = np.sort(rng.choice(len(frame), rows, replace=False))
        frame, target = frame.iloc[chosen], target[chosen]
    frame = frame.reset_index(drop=True)
    scored = metric(name)
    sign = 1.0 if scored.greater_is_better else -1.0
    base = scored(target, outputs_of(estimator, frame))
    drops: dict[str, list[float]] = {str(column): [] for column in frame.columns}
    began = time.monotonic()
    for _ in range(repeats):
        for column in frame.columns:
            shuffled = frame.assign(**{column: frame[column].to_numpy()[rng.permutation(len(frame))]})
            drops[column].append(sign * (base - scored(target, outputs_of(estimator, shuffled))))
        if time.monotonic() - began > seconds:
            break
    ranking = [
        {
            "feature": column,
            "importance": float(np.nan_to_num(np.mean(found))),
            "std": float(np.nan_to_num(np.std(found))),
        }
        for column, found in drops.items()
    ]
    return sorted(ranking, key=lambda entry: -float(str(entry["importance"])))
