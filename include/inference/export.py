"""From a fitted estimator to the file of each runtime: ONNX, and the boosters' own formats."""

from __future__ import annotations

import copy
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from include.inference.encoding import Encodable, Encoding, identity
from include.specs.errors import FactoryError
from include.store.packages import Manifest, ModelPackage

OPSETS = {"": 18, "ai.onnx.ml": 3}
"""What is written: old enough for every ONNX Runtime of the last years."""


class NotExportableError(FactoryError):
    """A runtime cannot take a model; the message says why."""


def divided(package: ModelPackage) -> tuple[Encoding, Any]:
    """Return a package's estimator as an encoding, and the estimator that takes what the encoding gives.

    Raises:
        NotExportableError: rows cannot be encoded without the estimator's own code.
    """
    columns = package.manifest.features
    steps = [step for _, step in getattr(package.estimator, "steps", ())]
    if len(steps) > 1 and isinstance(steps[0], Encodable):
        rest = steps[1] if len(steps) == 2 else type(package.estimator)(package.estimator.steps[1:])
        return steps[0].encoding([column.name for column in columns]), rest
    if (found := identity(columns)) is None:
        raise NotExportableError("it has columns that are no numbers, and no feature plan that encodes them")
    return found, package.estimator


def takes(runtime: str, package: ModelPackage) -> bool:
    """Tell whether ``runtime`` is worth trying: ONNX always, a booster's own predictor for its models alone."""
    model = package.estimator.steps[-1][1] if hasattr(package.estimator, "steps") else package.estimator
    return runtime == "onnx" or _module(model) == runtime


def export(runtime: str, model: Any, encoding: Encoding, manifest: Manifest, folder: Path) -> None:
    """Write what ``runtime`` needs into ``folder``.

    Args:
        runtime: one of `EXPORTERS`.
        model: the fitted estimator behind the encoding.
        encoding: how rows become its inputs.
        manifest: the package's manifest.
        folder: the package.

    Raises:
        NotExportableError: the runtime cannot take this model.
    """
    encoding.save(folder)
    try:
        EXPORTERS[runtime](model, encoding, manifest, folder)
    except NotExportableError:
        raise
    except Exception as error:  # converters raise whatever comes to them
        reason = " ".join(str(error).split())[:200]
        raise NotExportableError(f"{type(model).__name__}: {type(error).__name__}: {reason}") from error


def _onnx(model: Any, encoding: Encoding, manifest: Manifest, folder: Path) -> None:
    from include.inference.blended import blended_graph, is_blend
    from include.inference.convert_kernel import register_kernel
    from include.inference.convert_mlp import register_mlp
    from include.inference.convert_neighbours import register_neighbours
    from include.inference.encoder import Encoder
    from include.inference.runtimes.onnx import MODEL_FILE

    width, classifies = Encoder(encoding, manifest.features).outputs, manifest.classes is not None
    _register_boosters()
    register_mlp()
    register_kernel()
    register_neighbours()
    if is_blend(model):
        graph = blended_graph(model, lambda member, columns: _graph(member, columns, classifies), OPSETS)
    else:
        graph = _graph(model, width, classifies)
    (folder / MODEL_FILE).write_bytes(graph.SerializeToString())


def _graph(model: Any, width: int, classifies: bool) -> Any:
    """Return the ONNX model of an estimator that takes ``width`` columns."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    from include.inference.convert_trees import tree_graph
    from include.inference.trees import trees_of

    if (trees := trees_of(model)) is not None:
        return tree_graph(trees, width, classifies, OPSETS)
    if _module(model) == "catboost":
        return _catboost_graph(model)
    if getattr(model, "flatten_transform", None) is True:  # of a vote; it concerns `transform` alone
        model = copy.copy(model)
        model.flatten_transform = False
    options = {"zipmap": False} if classifies else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = to_onnx(
            model,
            initial_types=[("rows", FloatTensorType([None, width]))],
            options={id(model): options},
            target_opset=OPSETS,
        )
    if classifies:
        del graph.graph.output[0]  # the label: the server makes it from the probabilities
    return graph


def _xgboost(model: Any, encoding: Encoding, manifest: Manifest, folder: Path) -> None:
    from include.inference.runtimes.xgboost import MODEL_FILE
    from include.inference.trees import best_rounds

    _must_be(model, "xgboost")
    best_rounds(model).save_model(folder / MODEL_FILE)


def _lightgbm(model: Any, encoding: Encoding, manifest: Manifest, folder: Path) -> None:
    from include.inference.runtimes.lightgbm import MODEL_FILE

    _must_be(model, "lightgbm")
    model.booster_.save_model(folder / MODEL_FILE)


def _catboost(model: Any, encoding: Encoding, manifest: Manifest, folder: Path) -> None:
    from include.inference.runtimes.catboost import MODEL_FILE

    _must_be(model, "catboost")
    model.save_model(str(folder / MODEL_FILE))


EXPORTERS: dict[str, Callable[[Any, Encoding, Manifest, Path], None]] = {
    "onnx": _onnx,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}


def _must_be(model: Any, library: str) -> None:
    if _module(model) != library:
        raise NotExportableError(f"{type(model).__name__} is no model of {library}")


def _module(model: Any) -> str:
    return type(model).__module__.partition(".")[0]


def _register_boosters() -> None:
    """Tell skl2onnx how XGBoost's and LightGBM's estimators are converted, alone or inside of an ensemble."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    for library, path, names in (
        ("xgboost", "xgboost.operator_converters.XGBoost:convert_xgboost", ("XGBClassifier", "XGBRegressor")),
        ("lightgbm", "lightgbm.operator_converters.LightGbm:convert_lightgbm", ("LGBMClassifier", "LGBMRegressor")),
    ):
        if (module := sys.modules.get(library)) is None:
            continue  # no estimator of it can be here
        where, _, name = path.partition(":")
        convert = getattr(import_module(f"onnxmltools.convert.{where}"), name)
        for cls, shapes, options in zip(
            names,
            (calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes),
            ({"nocl": [True, False], "zipmap": [True, False, "columns"]}, {"split": None}),
            strict=True,
        ):
            update_registered_converter(getattr(module, cls), cls, shapes, convert, options=options)


def _catboost_graph(model: Any) -> Any:
    """Return CatBoost's own ONNX, with the probabilities as a matrix instead of a list of dictionaries."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="factory-") as folder:
        file = Path(folder) / "model.onnx"
        model.save_model(str(file), format="onnx")
        graph = onnx.load(str(file))
    nodes, outputs = graph.graph.node, graph.graph.output
    answer = outputs[-1].name
    if nodes[-1].op_type == "ZipMap":
        answer = nodes[-1].input[0]
        del nodes[-1]
    del outputs[:]  # CatBoost writes the rank of a regression's output down wrongly
    outputs.append(onnx.helper.make_tensor_value_info(answer, onnx.TensorProto.FLOAT, None))
    return graph
