"""A package as one that predicts frames, whatever it holds: the estimator as trained, or a runtime in its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from include.inference.frames import rows_of
from include.inference.load import load_scorer
from include.inference.scorer import Scorer
from include.store.packages import ESTIMATOR, Manifest, ModelPackage, load_manifest, load_package

if TYPE_CHECKING:
    import pandas as pd

    from include.inference.scorer import Array


def open_package(folder: Path) -> ModelPackage:
    """Load the package in ``folder``; a model from elsewhere that has no estimator answers by its runtime.

    Raises:
        FactoryError: it is incomplete, or holds what is not trusted; nothing of it was run.
    """
    if (folder / ESTIMATOR).is_file():
        return load_package(folder)
    manifest = load_manifest(folder)
    return ModelPackage(manifest, ScorerEstimator(load_scorer(folder, manifest), manifest))


class ScorerEstimator:
    """A scorer that is called like a fitted estimator of scikit-learn."""

    def __init__(self, scorer: Scorer, manifest: Manifest) -> None:
        self._scorer, self._fields = scorer, manifest.features
        if manifest.classes is not None:
            self.predict_proba = self._score

    def predict(self, X: pd.DataFrame) -> Array:  # noqa: N803 - sklearn's name
        """Return the codes of the likeliest classes, or a regression's values, shape (rows,)."""
        scores = self._score(X)
        return scores.argmax(axis=1) if scores.ndim == 2 else scores

    def _score(self, X: pd.DataFrame) -> Array:  # noqa: N803
        return self._scorer.score(rows_of(X, self._fields))
