"""ONNX graphs with inputs of their own, several or of strings or whole numbers: ``model.onnx``, ``tensors.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.links import scores_of
from include.inference.runtimes.onnx import MODEL_FILE, open_session
from include.inference.scorer import Row, Scorer
from include.inference.tensors import TensorEncoder, Tensors
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array


class OnnxTensorsScorer(Scorer):
    """A session with one thread over the tensors that ``tensors.json`` names."""

    name = "onnx_tensors"

    def __init__(self, session: Any, tensors: Tensors, manifest: Manifest) -> None:
        self._session, self._manifest, self._link = session, manifest, tensors.link
        self._encoder = TensorEncoder(tensors, manifest.features)
        self._outputs = [tensors.output or session.get_outputs()[-1].name]

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> OnnxTensorsScorer:
        """Load ``model.onnx`` and ``tensors.json``.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        return cls(open_session(folder / MODEL_FILE, device), Tensors.load(folder), manifest)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the graph computes."""
        inputs = dict(zip(self._encoder.names, self._encoder.encode(rows), strict=True))
        return scores_of(self._session.run(self._outputs, inputs)[0], self._manifest, self._link)
