"""Smaller or faster forms of a model that may answer a little differently: quantised, compiled, distilled.

Whether one may serve is not decided here: that takes labels and a bound on what may be lost.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from include.inference.encoder import Encoder
from include.inference.export import NotExportableError, divided, export
from include.inference.runtimes import lightgbm, onnx
from include.inference.runtimes.sklearn import SklearnScorer
from include.inference.scorer import Row
from include.store.packages import ModelPackage

Array = np.ndarray[Any, Any]
Optimise = Callable[[ModelPackage, Sequence[Row], Path, int], str]
"""(the model as trained, training rows, a folder to write to, a seed) → the runtime of what was written."""
STUDENTS = ((20, 8), (60, 8), (60, 16), (150, 16))
"""Trees and leaves of a tree of the students that are tried, smallest first."""
ENOUGH = 1.1
"""A student is taken when no larger one is closer to the teacher by more than this factor."""
HELD_SHARE = 0.25
MAX_ROWS = 20_000
"""Training rows from which a student learns; of several classes fewer, as each row counts once a class."""
QUANTISABLE = ("MatMul", "Gemm", "Conv", "Attention", "LSTM")
"""Operators for which ONNX Runtime has a form in 8-bit integers."""


def quantised(package: ModelPackage, rows: Sequence[Row], folder: Path, seed: int) -> str:
    """Write the model's graph with weights of 8 bits; activations are quantised as they come.

    Raises:
        NotExportableError: it has no graph, or nothing in the graph is a matrix that could be quantised.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    file, names = _graph(package, folder)
    if not set(names) & set(QUANTISABLE):
        raise NotExportableError(
            f"its graph is made of {', '.join(sorted(set(names)))}: none of it is a product of matrices that could be "
            "quantised; trees compare and add up"
        )
    with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
        whole = Path(shutil.copy(file, scratch))
        quantize_dynamic(whole, file, weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True})
    return "onnx"


def compiled(package: ModelPackage, rows: Sequence[Row], folder: Path, seed: int) -> str:
    """Write the model's graph as ONNX Runtime has optimised it: operators fused and constants folded beforehand.

    Raises:
        NotExportableError: it has no graph.
    """
    import onnxruntime

    file, _ = _graph(package, folder)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
        whole = Path(shutil.copy(file, scratch))
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(str(whole), options, providers=["CPUExecutionProvider"])
    return "onnx"


def student(package: ModelPackage, rows: Sequence[Row], folder: Path, seed: int) -> str:
    """Write a few shallow trees that learned what the model answers on training rows, not what was true of them.

    Soft labels tell a student more than hard ones (Hinton et al. 2015, "Distilling the knowledge in a neural network").
    A quarter of the rows is held out, on which the students are compared with their teacher.

    Raises:
        NotExportableError: rows cannot be encoded without the estimator's own code.
    """
    encoding, _ = divided(package)
    encoding.save(folder)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))[: MAX_ROWS // max(1, len(package.manifest.classes or ()) - 1)]
    chosen = [rows[index] for index in order]
    matrix = Encoder(encoding, package.manifest.features).encode(chosen)
    answers = SklearnScorer(package.manifest, package.estimator).score(chosen)
    held = max(1, int(len(chosen) * HELD_SHARE))
    gaps = [_gap(_fit(matrix[held:], answers[held:], size, seed), matrix[:held], answers[:held]) for size in STUDENTS]
    size = next(size for size, gap in zip(STUDENTS, gaps, strict=True) if gap <= min(gaps) * ENOUGH)
    _fit(matrix, answers, size, seed).save_model(folder / lightgbm.MODEL_FILE)
    return "lightgbm"


OPTIMISERS: dict[str, Optimise] = {"quantised": quantised, "compiled": compiled, "student": student}
"""By the names that a spec uses."""


def _graph(package: ModelPackage, folder: Path) -> tuple[Path, list[str]]:
    """Write the model's plain graph; return its file and the names of its operators."""
    import onnx as library

    encoding, model = divided(package)
    export("onnx", model, encoding, package.manifest, folder)
    file = folder / onnx.MODEL_FILE
    return file, [node.op_type for node in library.load(str(file)).graph.node]


def _fit(matrix: Array, answers: Array, size: tuple[int, int], seed: int) -> Any:
    """Return a booster that was fitted on answers: values, or probabilities of each class."""
    import lightgbm as lgb

    trees, leaves = size
    settings: dict[str, Any] = {
        "num_leaves": leaves,
        "learning_rate": min(0.3, 6 / trees),
        "min_data_in_leaf": 5,
        "seed": seed,
        "deterministic": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    weights = None
    if answers.ndim == 1:
        settings["objective"] = "regression"
    elif answers.shape[1] == 2:
        settings["objective"] = "cross_entropy"
        answers = answers[:, 1]
    else:
        classes = answers.shape[1]
        settings |= {"objective": "multiclass", "num_class": classes}
        # a row once for each class, weighted by what the teacher gives it
        matrix, weights = np.repeat(matrix, classes, axis=0), answers.reshape(-1)
        answers = np.tile(np.arange(classes), len(answers))
    return lgb.train(settings, lgb.Dataset(matrix, answers, weight=weights), trees)


def _gap(booster: Any, matrix: Array, answers: Array) -> float:
    """Return the root mean squared difference from the teacher."""
    wanted = answers[:, 1] if answers.ndim == 2 and answers.shape[1] == 2 else answers
    return float(np.sqrt(np.mean((booster.predict(matrix, num_threads=1) - wanted) ** 2)))
