"""ONNX Runtime over ``model.onnx``: needs neither scikit-learn nor pandas, and answers a row in microseconds.

A single row is written into memory that is bound to the session once for each thread, so that nothing is allocated for
it; `make bench-runtimes` shows what that saves.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.inference.encoder import Encoder
from include.inference.links import score_of, scores_of
from include.inference.optional import library
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.store.packages import Manifest

if TYPE_CHECKING:
    from include.inference.scorer import Array

MODEL_FILE = "model.onnx"
AT_ONCE = 2048
"""Rows that a graph takes at a time: what an ensemble of nets holds meanwhile is some ten kilobytes for each."""
_NUMERIC = ("number", "boolean")
_ERRORS_ONLY = 3


class OnnxScorer(Scorer):
    """A session with one thread over what ``encoder.json`` makes of a row."""

    name = "onnx"

    def __init__(self, session: Any, manifest: Manifest, encoder: Encoder) -> None:
        self._session, self._manifest, self._encoder = session, manifest, encoder
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[-1].name  # a classifier's last output holds its probabilities
        self._classifies = manifest.classes is not None
        self._local = threading.local()
        self._nothing = tuple(float("nan") if field.type in _NUMERIC else None for field in manifest.features)
        self.score([self._nothing])

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> OnnxScorer:
        """Load ``model.onnx`` and ``encoder.json``.

        Raises:
            FactoryError: see `Scorer.open`.
        """
        file = folder / MODEL_FILE
        encoder = Encoder.load(folder, manifest.features)
        session = open_session(file, device)
        width = session.get_inputs()[0].shape[-1]
        if width != encoder.outputs:
            raise FactoryError(f"{file}: takes {width} columns, the package gives {encoder.outputs}; register it again")
        return cls(session, manifest, encoder)

    def score(self, rows: Sequence[Row]) -> Array:
        """Return what the graph computes."""
        if not len(rows):  # some operators refuse an empty matrix
            return self.score([self._nothing])[:0]
        matrix = self._encoder.encode(rows)
        answers = [
            self._session.run([self._output], {self._input: matrix[start : start + AT_ONCE]})[0]
            for start in range(0, len(matrix), AT_ONCE)
        ]
        return scores_of(answers[0] if len(answers) == 1 else np.concatenate(answers), self._manifest)

    def score_one(self, row: Row) -> list[float]:
        """Return the scores of one row through memory that this thread bound to the session."""
        try:
            bound = self._local.bound
        except AttributeError:
            bound = self._local.bound = _Bound(self._session, self._input, self._output, self._encoder.outputs)
        answer = bound(self._encoder.pack(row))
        return score_of(answer) if self._classifies else answer


class _Bound:
    """Input and output of a single row, bound to a session: for one thread."""

    def __init__(self, session: Any, name: str, output: str, width: int) -> None:
        self._input = np.zeros((1, width), dtype=np.float32)
        self._answer = np.array(session.run([output], {name: self._input})[0])
        self._memory = self._input.reshape(-1).view(np.uint8).data
        self._flat = self._answer.reshape(-1)
        self._binding = session.io_binding()
        for bind, key, array in (
            (self._binding.bind_input, name, self._input),
            (self._binding.bind_output, output, self._answer),
        ):
            bind(key, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self._run = session.run_with_iobinding

    def __call__(self, row: bytes) -> list[float]:
        """Return the outputs of an encoded row."""
        self._memory[:] = row
        self._run(self._binding)
        answer: list[float] = self._flat.tolist()
        return answer


def open_session(file: Path, device: str = "cpu") -> Any:
    """Return an ONNX Runtime session over ``file`` with one thread.

    Raises:
        FactoryError: see `Scorer.open`.
    """
    runtime = library("onnxruntime", "onnx", "install it, or set packaging.runtime to sklearn and train again")
    providers = _providers(runtime, device)
    try:
        return runtime.InferenceSession(str(file), _options(runtime), providers=providers)
    except Exception as error:  # its errors have no root of their own
        raise FactoryError(f"{file}: ONNX Runtime cannot load it ({error}); register the model again") from error


def _options(runtime: Any) -> Any:
    """Return options for one thread and flat memory: rows are few, and the server has threads of its own."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False  # an arena keeps the memory of the largest batch that it ever saw
    options.log_severity_level = _ERRORS_ONLY
    return options


def _providers(runtime: Any, device: str) -> list[Any]:
    """Return ONNX Runtime's execution providers for ``device``.

    Raises:
        FactoryError: this machine, or this build of ONNX Runtime, does not have it.
    """
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    provider = f"{kind.upper()}ExecutionProvider"
    if provider not in runtime.get_available_providers():
        known = ", ".join(runtime.get_available_providers())
        raise FactoryError(
            f"serving.device: ONNX Runtime has no {provider} here, only {known}; install its build for that device, "
            "or set cpu"
        )
    return [(provider, {"device_id": int(number or 0)}), "CPUExecutionProvider"]
