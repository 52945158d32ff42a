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

    import pandas as pd

    from include.inference.scorer import Row
    from include.store.packages import ModelPackage

ROWS, REPEATS, SECONDS = 2000, 5, 10.0
SHAP_ROWS = 200


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


def shap_importance(package: ModelPackage, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the mean absolute SHAP value of every feature over at most `SHAP_ROWS` of ``rows``, the largest first.

    Returns:
        ``{"space", "features": [{"feature", "importance"}]}``; where the model has no exact and quick explanation,
        ``{"reason"}`` instead. Of several classes the mean is taken.
    """
    from include.inference.explain import NotExplainableError, explainer_of

    every = max(1, len(rows) // SHAP_ROWS)
    try:
        found = explainer_of(package.estimator, package.manifest).explain(list(rows)[::every][:SHAP_ROWS])
    except NotExplainableError as error:
        return {"reason": str(error)}
    sizes = np.abs(found.contributions).mean(axis=(0, 2))
    ranking = sorted(zip(package.manifest.features, sizes, strict=True), key=lambda pair: -pair[1])
    return {
        "space": found.space,
        "features": [{"feature": field.name, "importance": float(size)} for field, size in ranking],
    }
