"""Why a model answered what it did: SHAP values of a caller's features, summed over the columns that each became.

What a column is credited with that was made of two features (a ratio, a product) is shared by them in equal halves.

SHAP values (Lundberg and Lee 2017, "A unified approach to interpreting model predictions") add up: base value plus
contributions is what the model puts out for the row. Trees are explained along their own paths (Lundberg et al. 2020,
"From local explanations to global understanding with explainable AI for trees"), linear models against the mean of
their training rows; every other model by sampling, against the typical row that its manifest names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from include.inference.frames import typical_row
from include.inference.load import load_scorer
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import ESTIMATOR, Manifest, load_package

if TYPE_CHECKING:
    from include.inference.encoding import Encoding
    from include.inference.scorer import Array

Space = Literal["logit", "probability", "value", "margin"]
"""What base value and contributions add up to: the score before the sigmoid or the softmax, a probability, a
regression's value, or that value before its link."""
_VALUE_OBJECTIVES = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror")


class NotExplainableError(FactoryError):
    """There is no exact and quick explanation of this kind of model."""


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some rows.

    Attributes:
        space: what they add up to.
        base: the model's mean output, shape (outputs,): one for a regression, one for the positive of two classes,
            one a class for more.
        contributions: shape (rows, features, outputs), features in the manifest's order.
    """

    space: Space
    base: Array
    contributions: Array


@dataclass(frozen=True)
class _Columns:
    """The way from rows to what the estimator takes.

    Attributes:
        encode: rows to a matrix, shape (rows, columns).
        origins: for each column the indices of the features that it is made of.
        mean: the mean of the training rows in these columns, where it is known.
    """

    encode: Callable[[Sequence[Row]], Array]
    origins: Sequence[Sequence[int]]
    mean: Array | None = None


_Contributions = Callable[["Array"], tuple["Array", "Array"]]
"""A matrix to base (outputs,) and contributions (rows, columns, outputs)."""


class Explainer:
    """Explains one version of a model. Threads may share it."""

    def __init__(self, manifest: Manifest, columns: _Columns, space: Space, contributions: _Contributions) -> None:
        self._features, self._columns = len(manifest.features), columns
        self._space, self._contributions = space, contributions

    def explain(self, rows: Sequence[Row]) -> Explanation:
        """Return the SHAP values of ``rows``, at least one."""
        import numpy as np

        base, parts = self._contributions(self._columns.encode(rows))
        membership = np.zeros((parts.shape[1], self._features))
        for column, origins in enumerate(self._columns.origins):
            for feature in origins:  # what is made of two features is credited to both, half each
                membership[column, feature] += 1 / len(origins)
        return Explanation(self._space, base, np.einsum("rco,cf->rfo", parts, membership))


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
            return _sampled(load_scorer(folder, manifest), manifest)
    for file, of in (("model.ubj", _xgboost_file), ("model.txt", _lightgbm_file), ("model.cbm", _catboost_file)):
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
    columns = _columns_of(estimator[:-1] if len(steps) > 1 else None, steps[:-1], manifest)
    kind = f"{type(final).__module__}.{type(final).__name__}"
    if kind.startswith("xgboost."):
        return _xgboost(final.get_booster(), final.n_jobs, columns, manifest)
    if hasattr(final, "coef_") and hasattr(final, "intercept_") and kind.startswith("sklearn.linear_model."):
        return _linear(final, columns, manifest)
    if kind.startswith(("sklearn.ensemble.", "sklearn.tree.")):
        return _trees(final, columns, manifest)
    raise NotExplainableError(f"explanations are not available for this model: there are none for {kind}")


# From rows to columns


def _columns_of(transform: Any, steps: Sequence[Any], manifest: Manifest) -> _Columns:
    import numpy as np

    from include.inference.encoding import Encodable

    names = [field.name for field in manifest.features]
    if len(steps) == 1 and isinstance(steps[0], Encodable):
        mean = getattr(steps[0], "center_", None)
        return _encoded(steps[0].encoding(names), manifest, mean)
    if any(field.type not in ("number", "boolean") for field in manifest.features):
        raise NotExplainableError("explanations are not available for this model: its columns cannot be traced back")
    if transform is None:
        return _Columns(lambda rows: np.array(rows, dtype=np.float64), _own(len(names)))
    if any(type(step).__name__ not in ("SimpleImputer", "StandardScaler", "MinMaxScaler") for step in steps):
        raise NotExplainableError("explanations are not available for this model: its columns cannot be traced back")
    from include.inference.frames import numeric_frame

    def encode(rows: Sequence[Row]) -> Array:
        return np.asarray(transform.transform(numeric_frame(rows, manifest.features)))

    gaps = encode([(float("nan"),) * len(names)])
    if gaps.shape[1] != len(names):
        raise NotExplainableError("explanations are not available for this model: its columns cannot be traced back")
    mean = gaps[0] if getattr(steps[0], "strategy", None) == "mean" else None  # what it fills gaps with
    return _Columns(encode, _own(len(names)), mean)


def _own(width: int) -> list[list[int]]:
    """Return the origins of columns that are the features themselves."""
    return [[index] for index in range(width)]


def _encoded(encoding: Encoding, manifest: Manifest, mean: Array | None) -> _Columns:
    from include.inference.encoder import Encoder

    places = {field.name: index for index, field in enumerate(manifest.features)}
    origins = [[places[name] for name in names] for part in encoding.parts for names in part.sources()]
    return _Columns(Encoder(encoding, manifest.features).encode, origins, mean)


def _file_columns(folder: Path, manifest: Manifest) -> _Columns:
    """Return the columns of a model that is kept in its library's own format."""
    import numpy as np

    from include.inference.encoding import ENCODER_FILE, Encoding

    if (folder / ENCODER_FILE).is_file():
        return _encoded(Encoding.load(folder, manifest.features), manifest, None)
    return _Columns(lambda rows: np.array(rows, dtype=np.float64), _own(len(manifest.features)))


# Kinds of models


def _sampled(scorer: Scorer, manifest: Manifest) -> Explainer:
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

    columns = _Columns(encode, _own(width))
    return Explainer(manifest, columns, "probability" if classifies else "value", contributions)


def _space(manifest: Manifest, objective: str = "") -> Space:
    if manifest.classes is not None:
        return "logit"
    return "value" if not objective or objective in _VALUE_OBJECTIVES else "margin"


def _split(parts: Array) -> tuple[Array, Array]:
    """Return base and contributions of (rows, outputs, columns + 1), whose last column is the base."""
    return parts[0, :, -1], parts[:, :, :-1].transpose(0, 2, 1)


def _xgboost(booster: Any, threads: int | None, columns: _Columns, manifest: Manifest) -> Explainer:
    import json

    import numpy as np
    import xgboost

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]

    def contributions(matrix: Array) -> tuple[Array, Array]:
        data = xgboost.DMatrix(matrix.astype(np.float32), nthread=threads or 1)
        parts = booster.predict(data, pred_contribs=True, validate_features=False).astype(np.float64)
        return _split(parts if parts.ndim == 3 else parts[:, None, :])

    return Explainer(manifest, columns, _space(manifest, objective), contributions)


def _xgboost_file(file: Path, manifest: Manifest) -> Explainer:
    xgboost = library("xgboost", "explanation", "install it")
    booster = xgboost.Booster(model_file=str(file))
    return _xgboost(booster, 1, _file_columns(file.parent, manifest), manifest)


def _lightgbm_file(file: Path, manifest: Manifest) -> Explainer:
    lightgbm = library("lightgbm", "explanation", "install it")
    booster = lightgbm.Booster(model_file=str(file))
    outputs = booster.num_model_per_iteration()

    def contributions(matrix: Array) -> tuple[Array, Array]:
        parts = booster.predict(matrix, pred_contrib=True, num_threads=1)
        return _split(parts.reshape(len(matrix), outputs, -1))

    return Explainer(manifest, _file_columns(file.parent, manifest), _space(manifest), contributions)


def _catboost_file(file: Path, manifest: Manifest) -> Explainer:
    catboost = library("catboost", "explanation", "install it")
    model = catboost.CatBoost().load_model(str(file), format="cbm")
    if model.get_cat_feature_indices():
        raise NotExplainableError("explanations are not available for this model: CatBoost keeps its categories")

    def contributions(matrix: Array) -> tuple[Array, Array]:
        parts = model.get_feature_importance(catboost.Pool(matrix), type="ShapValues", thread_count=1)
        return _split(parts if parts.ndim == 3 else parts[:, None, :])

    return Explainer(manifest, _file_columns(file.parent, manifest), _space(manifest), contributions)


def _linear(model: Any, columns: _Columns, manifest: Manifest) -> Explainer:
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


def _trees(model: Any, columns: _Columns, manifest: Manifest) -> Explainer:
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
