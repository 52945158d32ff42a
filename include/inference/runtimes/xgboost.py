"""XGBoost's own predictor over ``model.ubj``, without its Python wrapper where a single row is asked for."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.encoder import Encoder
from include.inference.links import score_of, scores_of
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

MODEL_FILE = "model.ubj"


class XgboostScorer(Scorer):
    """A booster, bound to one thread, over the float32 matrix that ``encoder.json`` makes."""

    name = "xgboost"

    def __init__(self, booster: Any, manifest: Manifest, encoder: Encoder) -> None:
        self._booster, self._manifest, self._encoder = booster, manifest, encoder
        self._classifies = manifest.classes is not None
        self._outputs = 1 if manifest.classes is None or len(manifest.classes) == 2 else len(manifest.classes)
        self._local = threading.local()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> XgboostScorer:
        """Load ``model.ubj`` and ``encoder.json``.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        xgboost = library("xgboost", cls.name, "install it, or set packaging.runtime to onnx and train again")
        encoder = Encoder.load(folder, manifest.features)
        file = folder / MODEL_FILE
        try:
            booster = xgboost.Booster(model_file=file)
            booster.set_param({"nthread": 1, "device": device})
        except xgboost.core.XGBoostError as error:
            raise FactoryError(f"{file}: XGBoost cannot load it ({error}); register the model again") from error
        if booster.num_features() != encoder.outputs:
            found = booster.num_features()
            raise FactoryError(f"{file}: takes {found} columns, the package gives {encoder.outputs}; register it again")
        return cls(booster, manifest, encoder)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the booster answers."""
        import numpy as np

        if not len(rows):
            return scores_of(np.empty((0, self._outputs)), self._manifest)
        answers = self._booster.inplace_predict(self._encoder.encode(rows), validate_features=False)
        return scores_of(answers, self._manifest)  # a copy: the booster writes its next answer into the same memory

    def score_one(self, row: Row) -> list[float]:
        """Return the scores of one row by the library's own call, which takes a tenth of the wrapper's time."""
        try:
            call = self._local.call
        except AttributeError:
            call = self._local.call = _SingleRow(self._booster, self._encoder.outputs, self._outputs)
        answer = call(self._encoder.pack(row))
        return score_of(answer) if self._classifies else answer


class _SingleRow:
    """XGBoost's prediction in place, with memory of its own for the row: one for each thread."""

    def __init__(self, booster: Any, width: int, outputs: int) -> None:
        from xgboost.core import _LIB, _check_call

        self._row = (ctypes.c_float * width)()
        interface = {"data": [ctypes.addressof(self._row), True], "shape": [1, width], "typestr": "<f4", "version": 3}
        arguments = {
            "type": 0,
            "training": False,
            "iteration_begin": 0,
            "iteration_end": 0,
            "missing": float("nan"),
            "strict_shape": False,
            "cache_id": 0,
        }
        self._answer, self._outputs = ctypes.POINTER(ctypes.c_float)(), outputs
        self._shape, self._dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        self._arguments = (
            booster.handle,
            json.dumps(interface).encode(),
            json.dumps(arguments).encode(),
            ctypes.c_void_p(),
            ctypes.byref(self._shape),
            ctypes.byref(self._dimensions),
            ctypes.byref(self._answer),
        )
        self._predict, self._check = _LIB.XGBoosterPredictFromDense, _check_call

    def __call__(self, row: bytes) -> list[float]:
        """Return the outputs of an encoded row."""
        ctypes.memmove(self._row, row, len(row))
        self._check(self._predict(*self._arguments))
        return self._answer[: self._outputs]
