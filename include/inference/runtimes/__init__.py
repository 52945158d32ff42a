"""The runtimes, by name. Finding one imports the library of that one alone."""

from __future__ import annotations

from importlib import import_module

from include.inference.scorer import Scorer
from include.specs.errors import FactoryError, did_you_mean

RUNTIMES: dict[str, str] = {
    "sklearn": "include.inference.runtimes.sklearn:SklearnScorer",
    "onnx": "include.inference.runtimes.onnx:OnnxScorer",
    "onnx_tensors": "include.inference.runtimes.onnx_tensors:OnnxTensorsScorer",
    "xgboost": "include.inference.runtimes.xgboost:XgboostScorer",
    "lightgbm": "include.inference.runtimes.lightgbm:LightgbmScorer",
    "catboost": "include.inference.runtimes.catboost:CatboostScorer",
    "torchscript": "include.inference.runtimes.torchscript:TorchScriptScorer",
    "tensorflow": "include.inference.runtimes.tensorflow:TensorflowScorer",
    "pyfunc": "include.inference.runtimes.pyfunc:PyfuncScorer",
}
"""Name → ``module:class``."""


def find_runtime(name: str) -> type[Scorer]:
    """Return the scorer class of the runtime called ``name``.

    Raises:
        FactoryError: there is none.
    """
    found: type[Scorer] = getattr(import_module(module_of(name)), RUNTIMES[name].rpartition(":")[2])
    return found


def module_of(name: str) -> str:
    """Return the dotted name of the module of the runtime called ``name``.

    Raises:
        FactoryError: there is none.
    """
    if name not in RUNTIMES:
        raise FactoryError(f"there is no runtime '{name}'; {did_you_mean(name, tuple(RUNTIMES))}")
    return RUNTIMES[name].partition(":")[0]
