"""The reference runtime: the estimator as it was trained, over pandas, bound to one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.frames import mixed_frame, numeric_frame
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import Manifest, load_package

if TYPE_CHECKING:
    from include.inference.scorer import Array


class SklearnScorer(Scorer):
    """An sklearn-compatible estimator over DataFrames with the manifest's columns."""

    name = "sklearn"

    def __init__(self, manifest: Manifest, estimator: Any) -> None:
        _bind_to_one_thread(estimator)
        self._fields = manifest.features
        self._numeric = all(field.type in ("number", "boolean") for field in manifest.features)
        self._classes = None if manifest.classes is None else len(manifest.classes)
        self._answer = estimator.predict if self._classes is None else estimator.predict_proba

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> SklearnScorer:
        """Load ``model.skops``; types that the house does not trust are refused before anything of it runs.

        Raises:
            FactoryError: it is missing, damaged or not trusted, or ``device`` is not the CPU.
        """
        if device != "cpu":
            raise FactoryError(f"{folder}: the sklearn runtime has no device '{device}'; set serving.device to cpu")
        return cls(manifest, load_package(folder).estimator)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the estimator answers."""
        import numpy as np

        if not rows:
            return np.empty((0,) if self._classes is None else (0, self._classes))
        frame = numeric_frame(rows, self._fields) if self._numeric else mixed_frame(rows, self._fields)
        return np.asarray(self._answer(frame), dtype=np.float64)


def _bind_to_one_thread(estimator: Any) -> None:
    """Let a prediction use one thread: rows are few, and starting threads costs more than they give."""
    jobs = [name for name in estimator.get_params(deep=True) if name == "n_jobs" or name.endswith("__n_jobs")]
    estimator.set_params(**dict.fromkeys(jobs, 1))
