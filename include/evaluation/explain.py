"""Which columns a model rests on: by shuffling them, and by what they add to its answers.

Permutation importance: Breiman 2001, "Random forests", section 10. Mean absolute SHAP values: Lundberg et al. 2020,
"From local explanations to global understanding with explainable AI for trees".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from include.automl.bench import outputs_of
from include.evaluation.metrics import Array, metric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from include.inference.scorer import Row
    from include.store.packages import Manifest

ROWS, REPEATS, SECONDS = 2000, 5, 5.0
LEAST_ROWS = 200
"""Rows that are used however long a model takes to answer them."""
SHAP_ROWS, SHAP_TOGETHER = 200, 10


def permutation_importance(
    estimator: Any,
    frame: pd.DataFrame,
    target: Array,
    name: str,
    rows: int = ROWS,
    repeats: int = REPEATS,
    seconds: float = SECONDS,
    seed: int = 0,
    weights: Array | None = None,
) -> list[dict[str, Any]]:
    """Return by how much metric ``name`` gets worse when a column is shuffled, the most important column first.

    Args:
        estimator: the fitted pipeline.
        frame: held-out rows, as the pipeline takes them.
        target: their codes or values.
        name: the metric.
        rows: most rows to use, drawn at random; fewer where the model is so slow that one round would take too long.
        repeats: shuffles of each column.
        seconds: no further round of shuffles is begun after this long; the first one is always made whole.
        seed: of the draw and the shuffles.
        weights: how much each row counts in the metric, shape (rows,); the same when None.

    Returns:
        One ``{"feature", "importance", "std"}`` a column; ``std`` over the shuffles. All are 0 where the metric is not
        defined on the rows.
    """
    rng = np.random.default_rng(seed)
    counts = np.ones(len(target)) if weights is None else weights
    frame, target, counts = _some(frame, target, counts, rows, rng)
    began = time.monotonic()
    outputs = outputs_of(estimator, frame)
    round_seconds = (time.monotonic() - began) * frame.shape[1]
    if round_seconds > seconds:
        fewer = max(LEAST_ROWS, int(len(frame) * seconds / round_seconds))
        frame, target, counts = _some(frame, target, counts, fewer, rng)
        outputs = outputs_of(estimator, frame)
    scored = metric(name)
    sign = 1.0 if scored.greater_is_better else -1.0
    base = scored(target, outputs, counts)
    drops: dict[str, list[float]] = {str(column): [] for column in frame.columns}
    began = time.monotonic()
    for _ in range(repeats):
        for column in frame.columns:
            shuffled = frame.assign(**{column: frame[column].to_numpy()[rng.permutation(len(frame))]})
            drops[column].append(sign * (base - scored(target, outputs_of(estimator, shuffled), counts)))
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


def _some(
    frame: pd.DataFrame, target: Array, weights: Array, rows: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, Array, Array]:
    """Return up to ``rows`` rows, drawn at random, in their order."""
    if len(frame) > rows:
        chosen = np.sort(rng.choice(len(frame), rows, replace=False))
        frame, target, weights = frame.iloc[chosen], target[chosen], weights[chosen]
    return frame.reset_index(drop=True), target, weights


def shap_importance(folder: Path, manifest: Manifest, rows: Sequence[Row], seconds: float = SECONDS) -> dict[str, Any]:
    """Return the mean absolute SHAP value of every feature over at most `SHAP_ROWS` of ``rows``, the largest first.

    Args:
        folder: the package.
        manifest: its manifest.
        rows: checked rows, at least one.
        seconds: no further rows are explained after this long.

    Returns:
        ``{"space", "rows", "features": [{"feature", "importance"}]}``; where the model has no explanation
        ``{"reason"}`` instead. Of several classes the mean is taken.
    """
    from include.inference.explain import load_explainer
    from include.inference.explanation import NotExplainableError

    deadline = time.monotonic() + seconds
    picked = list(rows)[:: max(1, len(rows) // SHAP_ROWS)][:SHAP_ROWS]
    try:
        explainer = load_explainer(folder, manifest)
    except NotExplainableError as error:
        return {"reason": str(error)}
    sizes: list[Array] = []
    for start in range(0, len(picked), SHAP_TOGETHER):
        found = explainer.explain(picked[start : start + SHAP_TOGETHER])
        sizes += list(np.abs(found.contributions).mean(axis=2))
        if time.monotonic() > deadline:
            break
    mean = np.mean(sizes, axis=0)
    ranking = sorted(zip(manifest.features, mean, strict=True), key=lambda pair: -pair[1])
    return {
        "space": found.space,
        "rows": len(sizes),
        "features": [{"feature": field.name, "importance": float(size)} for field, size in ranking],
    }
