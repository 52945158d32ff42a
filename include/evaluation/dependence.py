"""What a model answers on average when one column takes another value: partial dependence.

Friedman 2001, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29, section 8.2. Where
columns move together it shows combinations that no row has; it says what the model does, not what the world does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.bench import outputs_of
from include.evaluation.metrics import Array

if TYPE_CHECKING:
    import pandas as pd

COLUMNS, ROWS, POINTS, LEVELS, SECONDS = 6, 200, 15, 10, 10.0
_EDGE = 0.02
"""Share of the rows at each end of a column that the points leave out."""


def partial_dependence(
    estimator: Any,
    frame: pd.DataFrame,
    names: Sequence[str],
    rows: int = ROWS,
    seconds: float = SECONDS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the mean answer at points of each column of ``names``; a column with fewer than two values is left out.

    Points are quantiles of numbers and times, and the most frequent levels of a category.

    Args:
        estimator: the fitted pipeline.
        frame: held-out rows, as the pipeline takes them.
        names: columns, the most important one first.
        rows: most rows to average over, drawn at random.
        seconds: no further column is begun after this long.
        seed: of the draw.

    Returns:
        One ``{"feature", "kind", "points", "answers"}`` a column: ``kind`` is number, time or category, ``points`` are
        numbers, ISO 8601 times or levels, and ``answers`` has one list a point: the probability of the positive of two
        classes, one a class of more, or a regression's value.
    """
    rng = np.random.default_rng(seed)
    drawn = frame if len(frame) <= rows else frame.iloc[np.sort(rng.choice(len(frame), rows, replace=False))]
    began = time.monotonic()
    found: list[dict[str, Any]] = []
    for name in names:
        if found and time.monotonic() - began > seconds:
            break
        kind, points = _points(frame[name])
        if len(points) < 2:
            continue
        means = [_mean_answer(estimator, drawn, name, point) for point in points]
        shown = [point.isoformat() if kind == "time" else point for point in points]
        found.append({"feature": name, "kind": kind, "points": shown, "answers": means})
    return found


def _mean_answer(estimator: Any, frame: pd.DataFrame, name: str, point: Any) -> list[float]:
    import pandas as pd

    column = pd.Series([point] * len(frame), index=frame.index).astype(frame[name].dtype)
    outputs: Array = np.asarray(outputs_of(estimator, frame.assign(**{name: column})))
    return [float(value) for value in np.atleast_1d(outputs.mean(axis=0))]


def _points(values: pd.Series) -> tuple[str, list[Any]]:
    """Return the kind of a column and its points, in order."""
    import pandas as pd

    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_datetime64_any_dtype(values):
        return "category", known.value_counts().head(LEVELS).index.tolist()
    kind = "number" if pd.api.types.is_numeric_dtype(values) else "time"
    distinct = known.drop_duplicates().sort_values()
    if len(distinct) > POINTS:
        distinct = known.quantile(np.linspace(_EDGE, 1 - _EDGE, POINTS), interpolation="nearest").drop_duplicates()
    return kind, distinct.tolist()
