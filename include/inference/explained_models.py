"""How each kind of model is explained.

SHAP values (Lundberg and Lee 2017, "A unified approach to interpreting model predictions") add up: base value plus
contributions is what the model puts out for the row. Trees are explained along their own paths (Lundberg et al. 2020,
"From local explanations to global understanding with explainable AI for trees"), linear models against the mean of
their training rows; every other model by sampling, against the typical row that its manifest names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.explained_columns import columns_of_file, own
from include.inference.explanation import Columns, Explainer, NotExplainableError, Space
from include.inference.frames import typical_row
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

_VALUE_OBJECTIVES = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror")


def sampled(scorer: Scorer, manifest: Manifest) -> Explainer:
    """Return what explains any scorer, by sampling."""
    import numpy as np

    from include.inference.shapley import Sampled

    classifies = manifest.classes is not None
    explained = Sampled(scorer, typical_row(manifest), classifies)
    width = len(manifest.features)

    def contributions(positions: Array) -> tuple[Array, Array]:
        return explained(positions.tolist())

    def encode(rows: Sequence[Row]) -> Array:
        kept = np.empty((len(rows), width), dtype=object)
        kept[:] = [list(row) for row in rows]
        return kept

    columns = Columns(encode, own(width))
    return Explainer(manifest, columns, "probability" if classifies else "value", contributions)


def _space(manifest: Manifest, objective: str = "") -> Space:
    if manifest.classes is not None:
        return "logit"
    return "value" if not objective or objective in _VALUE_OBJECTIVES else "margin"


def _split(parts: Array) -> tuple[Array, Array]:
    """Return base and contributions of (rows, outputs, columns + 1), whose last column is the base."""
    return parts[0, :, -1], parts[:, :, :-1].transpose(0, 2, 1)


def xgboost_booster(booster: Any, threads: int | None, columns: Columns, manifest: Manifest) -> Explainer:
    """Return what explains a booster of XGBoost, on so many threads."""
    import json

    import numpy as np
    import xgboost

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]

    def contributions(matrix: Array) -> tuple[Array, Array]:
        data = xgboost.DMatrix(matrix.astype(np.float32), nthread=threads or 1)
        parts = booster.predict(data, pred_contribs=True, validate_features=False).astype(np.float64)
        return _split(parts if parts.ndim == 3 else parts[:, None, :])

    return Explainer(manifest, columns, _space(manifest, objective), contributions)


def xgboost_file(file: Path, manifest: Manifest) -> Explainer:
    """Return what explains a file of XGBoost's."""
    xgboost = library("xgboost", "explanation", "install it")
    booster = xgboost.Booster(model_file=str(file))
    return xgboost_booster(booster, 1, columns_of_file(file.parent, manifest), manifest)


def lightgbm_file(file: Path, manifest: Manifest) -> Explainer:
    """Return what explains a file of LightGBM's."""
    lightgbm = library("lightgbm", "explanation", "install it")
    booster = lightgbm.Booster(model_file=str(file))
    outputs = booster.num_model_per_iteration()

    def contributions(matrix: Array) -> tuple[Array, Array]:
        parts = booster.predict(matrix, pred_contrib=True, num_threads=1)
        return _split(parts.reshape(len(matrix), outputs, -1))

    return Explainer(manifest, columns_of_file(file.parent, manifest), _space(manifest), contributions)


def catboost_file(file: Path, manifest: Manifest) -> Explainer:
    """Return what explains a file of CatBoost's.

    Raises:
        NotExplainableError: the model takes categories as they are.
    """
    catboost = library("catboost", "explanation", "install it")
    model = catboost.CatBoost().load_model(str(file), format="cbm")
    if model.get_cat_feature_indices():
        raise NotExplainableError("explanations are not available for this model: CatBoost keeps its categories")

    def contributions(matrix: Array) -> tuple[Array, Array]:
        parts = model.get_feature_importance(catboost.Pool(matrix), type="ShapValues", thread_count=1)
        return _split(parts if parts.ndim == 3 else parts[:, None, :])

    return Explainer(manifest, columns_of_file(file.parent, manifest), _space(manifest), contributions)


def linear(model: Any, columns: Columns, manifest: Manifest) -> Explainer:
    """Return what explains a linear model, against the mean of its training rows.

    Raises:
        NotExplainableError: that mean is not known.
    """
    import numpy as np

    if columns.mean is None:
        raise NotExplainableError(
            "explanations are not available for this model: it was packaged without the mean of its training rows; "
            "train it again"
        )
    mean = np.asarray(columns.mean, dtype=np.float64)
    weights = np.atleast_2d(model.coef_).T  # (columns, outputs)
    base = np.atleast_1d(model.intercept_) + mean @ weights

    def contributions(matrix: Array) -> tuple[Array, Array]:
        return base, (matrix - mean)[:, :, None] * weights[None]

    linked = type(model).__name__ in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")
    return Explainer(manifest, columns, "margin" if linked else _space(manifest), contributions)


def trees(model: Any, columns: Columns, manifest: Manifest) -> Explainer:
    """Return what explains scikit-learn's trees and forests.

    Raises:
        NotExplainableError: SHAP knows no way for them.
    """
    import numpy as np

    shap = library("shap", "explanation", "install it")
    try:
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    except shap.utils._exceptions.InvalidModelError as error:
        name = type(model).__name__
        raise NotExplainableError(
            f"explanations are not available for this model: there are none for {name}"
        ) from error
    single = manifest.classes is None or len(manifest.classes) == 2

    def contributions(matrix: Array) -> tuple[Array, Array]:
        parts = np.asarray(explainer.shap_values(matrix, check_additivity=False))
        base = np.atleast_1d(explainer.expected_value)
        parts = parts if parts.ndim == 3 else parts[:, :, None]
        return (base[-1:], parts[:, :, -1:]) if single else (base, parts)

    forest = manifest.classes is not None and not hasattr(model, "decision_function")
    return Explainer(manifest, columns, "probability" if forest else _space(manifest), contributions)
