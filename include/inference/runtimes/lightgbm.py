"""LightGBM's own predictor over ``model.txt``, without its Python wrapper where a single row is asked for.

The rows are what ``encoder.json`` makes of them, or, without one, the columns themselves, in double precision.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.encoder import Encoder
from include.inference.encoding import ENCODER_FILE
from include.inference.links import score_of, scores_of
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

MODEL_FILE = "model.txt"
_FLOAT32, _FLOAT64, _NORMAL = 0, 1, 0
"""LightGBM's names for types of data, and for a prediction that went through the objective's link."""


class LightgbmScorer(Scorer):
    """A LightGBM booster, bound to one thread."""

    name = "lightgbm"

    def __init__(self, booster: Any, manifest: Manifest, encoder: Encoder | None) -> None:
        self._booster, self._manifest, self._encoder = booster, manifest, encoder
        self._classifies = manifest.classes is not None
        self._local = threading.local()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> LightgbmScorer:
        """Load ``model.txt``: text, of which nothing is run.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        if device != "cpu":
            raise FactoryError(f"{folder}: the lightgbm runtime predicts on the CPU alone; set serving.device to cpu")
        lightgbm = library("lightgbm", cls.name, "install it, or convert the model to ONNX")
        file = folder / MODEL_FILE
        encoder = Encoder.load(folder, manifest.features) if (folder / ENCODER_FILE).is_file() else None
        try:
            booster = lightgbm.Booster(model_file=str(file))
        except lightgbm.basic.LightGBMError as error:
            raise FactoryError(f"{file}: LightGBM cannot read it ({error}); register the model again") from error
        width = encoder.outputs if encoder else len(manifest.features)
        if booster.num_feature() != width:
            raise FactoryError(
                f"{file}: takes {booster.num_feature()} columns, the package gives {width}; correct its features"
            )
        return cls(booster, manifest, encoder)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the booster answers."""
        import numpy as np

        width = self._booster.num_feature()
        matrix = self._encoder.encode(rows) if self._encoder else np.array(rows, dtype=np.float64)
        if not len(rows):
            outputs = self._booster.num_model_per_iteration()
            return scores_of(np.empty((0, outputs)), self._manifest)
        answers = self._booster.predict(matrix.reshape(len(rows), width), num_threads=1)
        return scores_of(answers, self._manifest)

    def score_one(self, row: Row) -> list[float]:
        """Return the scores of one row by LightGBM's call for single rows, which costs a few microseconds."""
        try:
            call = self._local.call
        except AttributeError:
            call = self._local.call = _SingleRow(self._booster, self._encoder)
        answer = call(row)
        return score_of(answer) if self._classifies else answer


class _SingleRow:
    """LightGBM's prediction of a single row, with buffers of its own: one for each thread."""

    def __init__(self, booster: Any, encoder: Encoder | None) -> None:
        from lightgbm.basic import _LIB, _safe_call

        width, self._outputs = booster.num_feature(), booster.num_model_per_iteration()
        self._booster = booster  # the handle below belongs to it
        self._handle = ctypes.c_void_p()
        kind = _FLOAT64 if encoder is None else _FLOAT32
        _safe_call(
            _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster._handle,
                _NORMAL,
                0,
                -1,
                kind,
                ctypes.c_int32(width),
                b"num_threads=1",
                ctypes.byref(self._handle),
            )
        )
        self._check, self._predict, self._free = (
            _safe_call,
            _LIB.LGBM_BoosterPredictForMatSingleRowFast,
            _LIB.LGBM_FastConfigFree,
        )
        self._answer, self._count = (ctypes.c_double * self._outputs)(), ctypes.c_int64()
        self._values = (ctypes.c_double * width)()
        self._bytes: Callable[[Row], Any] | None = None if encoder is None else encoder.encode_one

    def __call__(self, row: Row) -> list[float]:
        """Return the outputs of one row."""
        if self._bytes is None:
            self._values[:] = row
            data: Any = self._values
        else:
            data = self._bytes(row).tobytes()
        self._check(self._predict(self._handle, data, ctypes.byref(self._count), self._answer))
        return list(self._answer)

    def __del__(self) -> None:
        self._free(self._handle)
