"""TensorFlow SavedModels: the folder ``saved_model`` and ``tensors.json``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.inference.links import OutputError, scores_of
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.inference.tensors import TensorEncoder, Tensors
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

MODEL_FOLDER, GRAPH, SIGNATURE = "saved_model", "saved_model.pb", "serving_default"
REMEDY = "install tensorflow-cpu (2.21 or later) where models are adopted and served, or convert it to ONNX"
UNSAFE = (b"PyFunc", b"EagerPyFunc", b"PyFuncStateless", b"ReadFile", b"WriteFile", b"MatchingFiles", b"LoadLibrary")
"""Operators that run Python, or open files that are not the model's own."""


class TensorflowScorer(Scorer):
    """The signature ``serving_default`` of a SavedModel, bound to one thread."""

    name = "tensorflow"

    def __init__(self, model: Any, tensorflow: Any, tensors: Tensors, manifest: Manifest, device: str) -> None:
        self._model = model  # a signature does not keep its variables alive
        self._call = model.signatures[SIGNATURE]
        self._tensorflow, self._device = tensorflow, device
        self._encoder = TensorEncoder(tensors, manifest.features)
        self._manifest, self._tensors = manifest, tensors

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> TensorflowScorer:
        """Load the SavedModel; one that runs Python or opens files is refused before TensorFlow runs any of it.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        place = folder / MODEL_FOLDER
        check_graph(place)
        tensors = Tensors.load(folder)
        tensorflow = library("tensorflow", cls.name, REMEDY)
        with suppress(RuntimeError):  # another model has started TensorFlow already
            tensorflow.config.threading.set_intra_op_parallelism_threads(1)
            tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        on = device.upper().replace("CUDA", "GPU")
        try:
            with tensorflow.device(on):
                model = tensorflow.saved_model.load(str(place))
        except Exception as error:  # TensorFlow raises what it finds: OSError, ValueError, its own
            raise FactoryError(f"{place}: TensorFlow cannot load it ({error}); adopt the model again") from error
        if SIGNATURE not in model.signatures:
            known = ", ".join(model.signatures) or "none"
            raise FactoryError(
                f"{place}: has no signature '{SIGNATURE}' (it has: {known}); save it by model.export(folder)"
            )
        return cls(model, tensorflow, tensors, manifest, on)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the signature answers."""
        constant = self._tensorflow.constant
        with self._tensorflow.device(self._device):
            arrays = zip(self._encoder.names, self._encoder.encode(rows), strict=True)
            outputs = self._call(**{name: constant(array) for name, array in arrays})
        name = self._tensors.output or next(iter(outputs))
        if name not in outputs:
            raise OutputError(f"the model has no output '{name}'; it has: {', '.join(outputs)}; correct the manifest")
        return scores_of(outputs[name].numpy(), self._manifest, self._tensors.link)


def check_graph(folder: Path) -> None:
    """Refuse a folder that is no SavedModel, and one whose graph names an operator of `UNSAFE`.

    A SavedModel is a program. The names are looked for in the bytes of the file, so that nothing of it is run; a
    model that merely mentions one of them is refused too.

    Raises:
        FactoryError: with what to do instead.
    """
    file = folder / GRAPH
    if not file.is_file():
        raise FactoryError(f"{folder}: holds no {GRAPH}; save the model by model.export(folder) of Keras")
    content = file.read_bytes()
    # a node's operator is field 2 of its message: the tag 0x12, the length, the name
    if found := sorted(name.decode() for name in UNSAFE if b"\x12" + bytes([len(name)]) + name in content):
        raise FactoryError(
            f"{file}: its graph uses {', '.join(found)}, which can run Python or open files; it was not loaded. "
            "Take it out of the model, or convert the model to ONNX"
        )
