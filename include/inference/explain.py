"""What explains a packaged model: chosen by its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.inference.explained_columns import columns_of
from include.inference.explained_models import (
    catboost_file,
    lightgbm_file,
    linear,
    sampled,
    trees,
    xgboost_booster,
    xgboost_file,
)
from include.inference.explanation import Explainer, NotExplainableError
from include.inference.load import load_scorer
from include.store.packages import ESTIMATOR, Manifest, load_package


def load_explainer(folder: Path, manifest: Manifest) -> Explainer:
    """Return what explains the package in ``folder``; the estimator is loaded without pickle.

    Raises:
        NotExplainableError: its kind of model cannot be explained.
        FactoryError: the package is damaged, or a library is not installed.
    """
    if (folder / ESTIMATOR).is_file():
        try:
            return explainer_of(load_package(folder).estimator, manifest)
        except NotExplainableError:
            if not any(field.typical is not None for field in manifest.features):
                raise
            return sampled(load_scorer(folder, manifest), manifest)
    for file, of in (("model.ubj", xgboost_file), ("model.txt", lightgbm_file), ("model.cbm", catboost_file)):
        if (folder / file).is_file():
            return of(folder / file, manifest)
    raise NotExplainableError("explanations are not available for this model: its package holds no known estimator")


def explainer_of(estimator: Any, manifest: Manifest) -> Explainer:
    """Return what explains a fitted estimator, alone or behind transformers in a pipeline.

    Raises:
        NotExplainableError: there is no exact and quick explanation of it.
    """
    steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    final = steps[-1]
    columns = columns_of(estimator[:-1] if len(steps) > 1 else None, steps[:-1], manifest)
    kind = f"{type(final).__module__}.{type(final).__name__}"
    if kind.startswith("xgboost."):
        return xgboost_booster(final.get_booster(), final.n_jobs, columns, manifest)
    if hasattr(final, "coef_") and hasattr(final, "intercept_") and kind.startswith("sklearn.linear_model."):
        return linear(final, columns, manifest)
    if kind.startswith(("sklearn.ensemble.", "sklearn.tree.")):
        return trees(final, columns, manifest)
    raise NotExplainableError(f"explanations are not available for this model: there are none for {kind}")
