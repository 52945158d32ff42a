"""CatBoost over ``model.cbm``: categories as strings where the model has them, numbers alone by a quick way of its own.

The rows are what ``encoder.json`` makes of them, or, without one, the columns themselves.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.inference.encoder import Encoder
from include.inference.encoding import ENCODER_FILE
from include.inference.links import score_of, scores_of
from include.inference.oblivious import ObliviousTrees
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

MODEL_FILE = "model.cbm"
CLOSE = 1e-9
"""Largest difference between the two ways; they add the same numbers in another order."""

_LARGEST = float(np.finfo(np.float32).max)


class CatboostScorer(Scorer):
    """A CatBoost model, bound to one thread."""

    name = "catboost"

    def __init__(self, model: Any, manifest: Manifest, encoder: Encoder | None) -> None:
        self._model, self._manifest, self._encoder = model, manifest, encoder
        self._categories = frozenset(model.get_cat_feature_indices())
        self._classifies = manifest.classes is not None
        self._width = encoder.outputs if encoder else len(manifest.features)
        self._trees = None if self._categories else self._quick_way()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> CatboostScorer:
        """Load ``model.cbm``, a format of numbers and names, of which nothing is run.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        if device != "cpu":
            raise FactoryError(f"{folder}: the catboost runtime predicts on the CPU alone; set serving.device to cpu")
        catboost = library("catboost", cls.name, "install it, or convert the model to ONNX")
        file = folder / MODEL_FILE
        encoder = Encoder.load(folder, manifest.features) if (folder / ENCODER_FILE).is_file() else None
        model = catboost.CatBoostRegressor() if manifest.classes is None else catboost.CatBoostClassifier()
        try:
            model.load_model(str(file), format="cbm")
        except catboost.CatBoostError as error:
            raise FactoryError(f"{file}: CatBoost cannot read it ({error}); register the model again") from error
        width, takes = encoder.outputs if encoder else len(manifest.features), len(model.feature_names_)
        if takes != width:
            raise FactoryError(f"{file}: takes {takes} columns, the package gives {width}; correct its features")
        return cls(model, manifest, encoder)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what CatBoost answers."""
        if not rows:
            return scores_of(np.empty((0, len(self._manifest.classes or ("value",)))), self._manifest)
        return self._answers(self._encoder.encode(rows) if self._encoder else self._columns(rows))

    def score_one(self, row: Row) -> list[float]:
        """Return the scores of one row: by the trees in numpy where the model has no categories."""
        if self._trees is None:
            return super().score_one(row)
        raw = self._trees.raw(self._encoder.encode_one(row)[0] if self._encoder else row).tolist()
        return score_of(raw, "logit") if self._classifies else raw

    def _answers(self, table: Any) -> Array:
        if self._classifies:
            answers = self._model.predict_proba(table, thread_count=1)
        else:
            answers = self._model.predict(table, thread_count=1)
        return scores_of(answers, self._manifest)

    def _columns(self, rows: Sequence[Row]) -> Any:
        """Return the rows as CatBoost takes them: a matrix, or lists where there are categories."""
        if not self._categories:
            return np.array(rows, dtype=np.float32).reshape(len(rows), self._width)
        return [
            [_category(value) if index in self._categories else value for index, value in enumerate(row)]
            for row in rows
        ]

    def _quick_way(self) -> ObliviousTrees | None:
        """Return the trees in numpy, if they answer as CatBoost does: on rows of random numbers, and of gaps."""
        with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
            file = Path(scratch) / "model.json"
            self._model.save_model(str(file), format="json")
            document = json.loads(file.read_bytes())
        try:
            trees = ObliviousTrees(document)
        except ValueError:
            return None
        borders = [border for one in document["features_info"]["float_features"] for border in one["borders"] or ()]
        rng = np.random.default_rng(0)
        table = rng.choice(np.array([*borders, 0.0, np.nan]), size=(64, self._width))
        table = (table * rng.normal(1, 0.01, size=table.shape)).clip(-_LARGEST, _LARGEST).astype(np.float32)
        raw = np.stack([trees.raw(row) for row in table])
        own = scores_of(raw, self._manifest, "logit" if self._classifies else "none")
        return trees if np.allclose(own, self._answers(table), rtol=CLOSE, atol=CLOSE) else None


def _category(value: Any) -> str:
    """Return a category as CatBoost names it: text as it is, whole numbers without a point, a gap as no text."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
